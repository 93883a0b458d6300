"""Makes the components of a trial from its configuration; whatever is invalid is refused here."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import WandbLogger
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.external import External
from skiplab.blocks.block import recompute_stages
from skiplab.blocks.branch import Branch
from skiplab.blocks.connection import Connection
from skiplab.blocks.init import Init
from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.default import Default
from skiplab.blocks.long_skip import LongSkip
from skiplab.blocks.shortcut import Shortcut
from skiplab.blocks.specification import NetworkSpec
from skiplab.blocks.tailored_activation import tailor_activations
from skiplab.data.augmentation import Augmentation
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.instruments.instrument import Instrument
from skiplab.layers import Network, blocks, called_layers, joins
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.records.local_paths import check_apart
from skiplab.records.plain_config import plain
from skiplab.records.study_list import study_folder
from skiplab.samplers.sampler import Sampler
from skiplab.seeding import keyed_seed, seed_globally
from skiplab.training.batches import Batches
from skiplab.training.components import Components, Ranks, RunSettings
from skiplab.training.factory import check_settings, factory, option
from skiplab.training.freezing import num_frozen
from skiplab.training.parity import parity
from skiplab.training.plan import enabled
from skiplab.training.problems import Problems
from skiplab.training.ranks.process_group import check_ranks
from skiplab.training.setting_checks import wrong_counts, wrong_settings
from skiplab.training.threads import with_threads
from skiplab.training.weight_average import WeightAverage
from skiplab.training.weights import no_larger_than

T = TypeVar("T")


def build(config: DictConfig, *, weights: Path | None = None) -> Components:
    """Make all components once, check them against each other, and run the network on an example.

    Args:
        config: the composed configuration.
        weights: a file that the network must not be larger than; None for none.

    Raises:
        SkiplabError: names the invalid values and the valid ones; reports all that can be found at once.
    """
    problems = Problems()
    for message in wrong_counts(config):
        problems.add(message)
    sized = None if problems else config  # without valid counts, neither the network nor its batches can be made
    for message in wrong_settings(config):
        problems.add(message)
    problems.attempt(study_folder, Path(config.run.runs_dir), config.run.study)
    problems.attempt(check_apart, config)

    # components that need no other
    eval_batch = problems.attempt(_build_eval_batch, config.eval_batch)
    for axis, base in (problems.attempt(lambda: option(config.objective, Objective).axes) or {}).items():
        problems.attempt(_make, config[axis], base)  # by itself, so that all problems are found
    sampler = problems.attempt(_make, config.sampler, Sampler)
    augmentation = problems.attempt(_make, config.augmentation, Augmentation)
    instruments = {n: problems.attempt(_make, node, Instrument) for n, node in enabled(config.instrument).items()}
    evaluators = {n: problems.attempt(_make, node, Evaluator) for n, node in enabled(config.evaluator).items()}
    make_extractor = problems.attempt(factory, config.feature_extractor, FeatureExtractor)
    make_trainer = problems.attempt(factory, config.trainer, Trainer)
    averages = config.weight_average._target_ is not None
    average = problems.attempt(_make, config.weight_average, WeightAverage) if averages else None
    make_logger = problems.attempt(factory, config.logger, WandbLogger) if config.logger._target_ is not None else None

    # components that need others
    data = problems.attempt(build_data, config)
    objective = problems.attempt_with(build_objective, config, data)
    problems.attempt_with(lambda data, augmentation: augmentation.check(data.train.shape), data, augmentation)
    problems.attempt_with(lambda data, sized: Batches(len(data.train), sized.batch_size, sized.seed), data, sized)
    if isinstance(objective, Denoising):
        problems.attempt_with(lambda sampler: sampler.check(objective), sampler)
    for name, evaluator in evaluators.items():
        problems.attempt_with(partial(_check_evaluator, name), evaluator, objective, data)
    extractor = cache(lambda: _extractor_for(data, make_extractor))
    if any(evaluator is not None and evaluator.needs_extractor for evaluator in evaluators.values()):
        problems.attempt_with(lambda data, _: extractor().check(data.train.shape), data, make_extractor)
    make_model = problems.attempt_with(model_factory, sized, data, objective)
    with no_larger_than(weights):
        model = problems.attempt_with(lambda make: make(), make_model)
    problems.attempt_with(check_ranks, sized, model)
    if not problems.concern("frozen_fraction"):
        problems.attempt_with(lambda model: num_frozen(len(blocks(model)), config.frozen_fraction), model)
    optimizer = None if problems.concern("optimizer") else problems.attempt(_build_optimizer, config, model)
    scheduler = problems.attempt_with(_build_scheduler, sized, optimizer)
    problems.raise_all()

    data, objective, model = _made(data), _made(objective), _made(model)
    with called_layers(model) as layers:
        costs = parity(model, objective.example(data.train.shape), config.depth)
    if config.run.activation_checkpointing:
        recompute_stages(model)
    return Components(
        settings=_run_settings(config),
        data=data,
        augmentation=_made(augmentation),
        objective=objective,
        model=model,
        network=Network(model, layers, blocks(model), joins(model)),
        make_untrained=_made(make_model),
        optimizer=_made(optimizer),
        scheduler=_made(scheduler),
        weight_average=average,
        make_trainer=_made(make_trainer),
        make_logger=make_logger,
        instruments={name: _made(instrument) for name, instrument in instruments.items()},
        evaluators={name: _made(evaluator) for name, evaluator in evaluators.items()},
        eval_batch=_made(eval_batch),
        sampler=_made(sampler),
        make_extractor=extractor,
        costs=costs,
    )


def build_data(config: DictConfig) -> Dataset:
    return factory(config.data, Dataset)()


def build_objective(config: DictConfig, data: Dataset) -> Objective:
    make = factory(config.objective, Objective)
    axes = option(config.objective, Objective).axes
    return make(data.num_classes, **{axis: _make(config[axis], base) for axis, base in axes.items()})


def build_model(config: DictConfig, data: Dataset, objective: Objective) -> Backbone:
    """The network at its initial weights, which depend on (seed, path) alone."""
    return model_factory(config, data, objective)()


def backbone_factory(
    config: DictConfig, shape: tuple[int, ...], *, num_labels: int, num_logits: int
) -> Callable[[], Backbone]:
    """Makes networks for inputs of a shape, not yet initialized."""
    spec = NetworkSpec(
        depth=config.depth,
        width=config.width,
        shape=shape,
        num_labels=num_labels,
        num_logits=num_logits,
        connection=factory(config.connection, Connection),
        branch=factory(config.branch, Branch),
        shortcut=factory(config.shortcut, Shortcut),
        norm=factory(config.norm, nn.Module),
        activation=factory(config.activation, nn.Module),
        long_skip=factory(config.long_skip, LongSkip),
    )
    return partial(factory(config.backbone, Backbone), spec)


def model_factory(config: DictConfig, data: Dataset, objective: Objective) -> Callable[[], Backbone]:
    """Makes networks at their initial weights, which depend on (seed, path) alone; each equals the others."""
    make_backbone = backbone_factory(
        config, data.train.shape, num_labels=objective.num_labels, num_logits=objective.num_logits
    )
    return partial(_initialized, make_backbone, factory(config.init, Init), config.seed)


def _initialized(make_backbone: Callable[[], Backbone], make_init: Callable[[], Init], seed: int) -> Backbone:
    init = make_init()
    with torch.random.fork_rng(devices=[]):
        seed_globally(keyed_seed(seed, "build"))  # for a network with initial weights of its own
        model = make_backbone()
    if isinstance(model, External) and not isinstance(init, Default):
        raise SkiplabError(
            f"backbone=external has initial weights of its own, which {type(init).__name__} would replace; choose "
            "init=default"
        )
    tailor_activations(model)
    initialize(model, init, seed, model.drawn_modules())
    return model


def _run_settings(config: DictConfig) -> RunSettings:
    return RunSettings(
        study=config.run.study,
        seed=config.seed,
        batch_size=config.batch_size,
        num_threads=config.num_threads,
        frozen_fraction=config.frozen_fraction,
        divergence_factor=config.divergence_factor,
        max_steps=config.trainer.max_steps,
        checkpoint_every_steps=config.run.checkpoint_every_steps,
        log_every_steps=config.run.log_every_steps,
        cuda_graph=config.run.cuda_graph,
        device=torch.device("cuda" if config.trainer.accelerator == "gpu" else "cpu"),
        ranks=_ranks(config) if "devices" in config.trainer else None,
    )


def _ranks(config: DictConfig) -> Ranks:
    return Ranks(config.trainer.devices, config.trainer.backend, rebuild=partial(_rebuild, plain(config)))


def _rebuild(content: dict[str, Any]) -> Components:
    """The components in a process of its own."""
    return with_threads(content["num_threads"], partial(build, OmegaConf.create(content)))


def _make(node: DictConfig, base: type[T]) -> T:
    return factory(node, base)()


def _made(component: T | None) -> T:
    assert component is not None, "else there was a problem, which was raised"
    return component


def _build_eval_batch(node: DictConfig) -> EvalBatch:
    check_settings(EvalBatch, node)
    return EvalBatch(num_images=node.num_images, num_levels=node.num_levels)


def _build_optimizer(config: DictConfig, model: nn.Module | None) -> Optimizer:
    """The optimizer of the network; of a single parameter if the network is invalid, to find further problems."""
    parameters = [nn.Parameter(torch.zeros(1))] if model is None else model.parameters()
    return factory(config.optimizer, Optimizer)(parameters)


def _build_scheduler(config: DictConfig, optimizer: Optimizer) -> LRScheduler:
    return factory(config.scheduler, LRScheduler)(optimizer, config.trainer.max_steps)


def _extractor_for(data: Dataset | None, make_extractor: Callable[[], FeatureExtractor] | None) -> FeatureExtractor:
    return _made(make_extractor)().for_shape(_made(data).train.shape)


def _check_evaluator(name: str, evaluator: Evaluator, objective: Objective, data: Dataset) -> None:
    evaluator.check(objective, data, name)
