"""A small network with everything that a trial has, on 8x8 images, for checks of measurements."""

from typing import Any

import torch
from torch import nn

from skiplab.backbones.isotropic import Isotropic
from skiplab.blocks.branches.preact import Preact
from skiplab.blocks.connections.identity import Identity
from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.default import Default
from skiplab.blocks.long_skips.none import NoLongSkip
from skiplab.blocks.shortcuts.zero_pad import ZeroPad
from skiplab.blocks.specification import NetworkSpec
from skiplab.data.gaussian_mixture_images import GaussianMixtureImages
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.feature_extractors.raw import Raw
from skiplab.objectives.conditionings.none import NoConditioning
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.loss_weightings.uniform import Uniform
from skiplab.objectives.noise_schedules.cosine import Cosine
from skiplab.objectives.objective import Objective
from skiplab.objectives.predictions.epsilon import Epsilon
from skiplab.samplers.ddim import DDIM


def small_trained(measures: type[Objective]) -> Trained[Any]:
    """A network at its initial weights, with an objective that an evaluator measures."""
    data = GaussianMixtureImages(rank=2, num_train=256, num_val=64, seed=0)
    objective: Objective
    if issubclass(CrossEntropy, measures):
        objective = CrossEntropy(data.num_classes, label_smoothing=0.0)
    else:
        objective = Denoising(
            data.num_classes,
            prediction=Epsilon(),
            loss_weighting=Uniform(),
            noise_schedule=Cosine(time_min=0.01, time_max=0.99),
            conditioning=NoConditioning(),
        )
    spec = NetworkSpec(
        depth=2,
        width=8,
        shape=data.train.shape,
        num_labels=objective.num_labels,
        num_logits=objective.num_logits,
        connection=Identity,
        branch=lambda spec: Preact(spec, kernel_size=3, bias=True),
        shortcut=ZeroPad,
        norm=lambda width: nn.GroupNorm(2, width),
        activation=nn.SiLU,
        long_skip=NoLongSkip,
    )

    def make_network(seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            model = Isotropic(spec, cond_multiplier=2)
        initialize(model, Default(), seed)
        return model.eval()

    return Trained(
        model=make_network(seed=1),
        make_untrained=lambda: make_network(seed=0),
        objective=objective,
        data=data,
        sampler=DDIM(num_steps=2, clip=1.0, guidance_scale=1.0),
        make_extractor=Raw,
        eval_batch=EvalBatch(num_images=16, num_levels=2),
        seed=0,
        device=torch.device("cpu"),
    )
