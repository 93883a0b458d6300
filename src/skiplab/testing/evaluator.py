"""The contract of an evaluator."""

import json
import math
from collections.abc import Callable

import torch
from PIL import Image
from torch import nn

from skiplab.backbones.isotropic import Isotropic
from skiplab.blocks.branches.preact import Preact
from skiplab.blocks.connections.identity import Identity
from skiplab.blocks.inits.default import Default
from skiplab.blocks.long_skips.none import NoLongSkip
from skiplab.blocks.recipe import Recipe
from skiplab.blocks.shortcuts.zero_pad import ZeroPad
from skiplab.data.gaussian_mixture_images import GaussianMixtureImages
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.extractors.raw import Raw
from skiplab.evaluators.probe import Probe
from skiplab.objectives.conditionings.none import NoConditioning
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.loss_weightings.uniform import Uniform
from skiplab.objectives.noise_schedules.cosine import Cosine
from skiplab.objectives.objective import Objective
from skiplab.objectives.parametrisations.epsilon import Epsilon
from skiplab.samplers.ddim import Ddim
from skiplab.testing.rules import global_generator_untouched, require
from skiplab.training.seeding import initialise


def check_evaluator(make: Callable[[], Evaluator]) -> None:
    """Hold an evaluator to its contract, on a small network of the kind that it measures, and 8x8 images.

    It gives a finite number for each metric that it declares and for no other, details that can be written to a
    record, pictures; the same each time; weights, buffers, gradients, hooks and mode of the network, and the global
    generator, are left as they were.

    Args:
        make: builds the evaluator, such as `lambda: Frechet(num_samples=64)`.

    Raises:
        AssertionError: with a sentence that says which rule is broken.
    """
    evaluator = make()
    require(isinstance(evaluator, Evaluator), f"{type(evaluator).__name__} is no subclass of Evaluator")
    trained = _trained(evaluator.measures)
    evaluator.check(trained.objective, trained.data, "under test")
    state = {name: value.clone() for name, value in trained.model.state_dict().items()}
    with global_generator_untouched("evaluate"):
        result = evaluator.evaluate(trained)
    _check_untouched(trained.model, state)
    require(isinstance(result, Result), f"evaluate gives {type(result).__name__}, not Result")
    declared, found = set(evaluator.metrics), set(result.summary)
    require(declared == found, f"metrics declares {sorted(declared)}, and the summary holds {sorted(found)}")
    for name, value in result.summary.items():
        finite = isinstance(value, int | float) and math.isfinite(value)
        require(finite, f"summary value {name}={value} is no finite number")
    try:
        json.dumps(result.details)
    except TypeError as error:
        raise AssertionError(f"details can't be written to a record: {error}") from error
    pictures = all(isinstance(picture, Image.Image) for picture in result.pictures.values())
    require(pictures, "pictures holds something else than PIL images")
    again = make().evaluate(_trained(evaluator.measures))
    require(again.summary == result.summary, "the summary differs the second time")


def _check_untouched(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    changed = ", ".join(name for name, value in model.state_dict().items() if not torch.equal(value, state[name]))
    require(not changed, f"measuring changes {changed}")
    require(not any(module.training for module in model.modules()), "measuring leaves the network in training mode")
    kept = all(parameter.grad is None for parameter in model.parameters())
    require(kept, "measuring leaves gradients behind")
    hooks = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    require(not hooks, "measuring leaves hooks behind")


def _trained(measures: type[Objective]) -> Trained:
    """A network at its initial weights, of the kind that an evaluator measures."""
    data = GaussianMixtureImages(rank=2, num_train=256, num_val=64, seed=0)
    objective: Objective
    if issubclass(CrossEntropy, measures):
        objective = CrossEntropy(data.num_classes, label_smoothing=0.0)
    else:
        objective = Denoising(
            data.num_classes,
            parametrisation=Epsilon(),
            loss_weighting=Uniform(),
            noise_schedule=Cosine(time_min=0.01, time_max=0.99),
            conditioning=NoConditioning(),
        )
    recipe = Recipe(
        depth=2,
        width=8,
        shape=data.train.shape,
        num_labels=objective.num_labels,
        num_logits=objective.num_logits,
        connection=Identity,
        branch=lambda ports: Preact(ports, kernel_size=3, bias=True),
        shortcut=ZeroPad,
        norm=lambda width: nn.GroupNorm(2, width),
        activation=nn.SiLU,
        long_skip=NoLongSkip,
    )

    def make_network(seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            model = Isotropic(recipe, cond_multiplier=2)
        initialise(model, Default(), seed)
        return model.eval()

    return Trained(
        model=make_network(seed=1),
        make_untrained=lambda: make_network(seed=0),
        objective=objective,
        data=data,
        sampler=Ddim(num_steps=2, clip=1.0, guidance_scale=1.0),
        make_extractor=Raw,
        probe=Probe(num_images=16, num_levels=2),
        seed=0,
        device=torch.device("cpu"),
    )
