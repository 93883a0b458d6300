"""From a composed configuration to the objects of a trial; whatever is invalid is refused here."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.external import External
from skiplab.blocks.block import recompute_stages
from skiplab.blocks.inits.default import Default
from skiplab.blocks.specification import NetworkSpec
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator
from skiplab.kinds import as_given, is_of, refusal
from skiplab.layers import blocks
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.records.local_paths import check_apart
from skiplab.records.record_schema import Costs
from skiplab.records.study_list import study_folder
from skiplab.seeding import initialise, keyed_seed, seed_globally
from skiplab.training.batches import Batches
from skiplab.training.complaints import Complaints
from skiplab.training.factory import check_settings, factory, option
from skiplab.training.freezing import num_frozen
from skiplab.training.parity import parity
from skiplab.training.plan import chosen
from skiplab.training.ranges import out_of_range
from skiplab.training.ranks.process_group import check_ranks

_MANY, _MOST = 10**5, 2**31 - 1
# Settings that must be whole numbers from 1, and up to what; a network of more blocks or channels would never be built.
_COUNTS = {
    "depth": _MANY,
    "width": _MANY,
    "batch_size": _MOST,
    "num_threads": _MANY,
    "trainer.max_steps": _MOST,
    "run.checkpoint_every_steps": _MOST,
    "run.log_every_steps": _MOST,
}
# Settings that are true or false.
_SWITCHES = ("run.rerun", "run.retry_failed", "run.dry_run", "run.activation_checkpointing", "run.cuda_graph")
# Settings that are numbers of any size.
_NUMBERS = ("frozen_fraction", "divergence_factor")
_PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")


class Parts(NamedTuple):
    """What a trial is made of, and what its network costs (see `parity`)."""

    data: Dataset
    objective: Objective
    model: Backbone
    costs: Costs


def build_data(config: DictConfig) -> Dataset:
    return factory(config.data)()


def build_objective(config: DictConfig, data: Dataset) -> Objective:
    make = factory(config.objective)
    parts = {axis: factory(config[axis])() for axis in option(config.objective).axes}
    return make(data.num_classes, **parts)


def build_backbone(config: DictConfig, shape: tuple[int, ...], *, num_labels: int, num_logits: int) -> Backbone:
    """The network for inputs of a shape, told `num_labels` labels, telling apart `num_logits`; not yet initialised."""
    spec = NetworkSpec(
        depth=config.depth,
        width=config.width,
        shape=shape,
        num_labels=num_labels,
        num_logits=num_logits,
        connection=factory(config.connection),
        branch=factory(config.branch),
        shortcut=factory(config.shortcut),
        norm=factory(config.norm),
        activation=factory(config.activation),
        long_skip=factory(config.long_skip),
    )
    return factory(config.backbone)(spec)


def build_model(config: DictConfig, data: Dataset, objective: Objective) -> Backbone:
    """The network at its initial weights, which depend on (seed, path) alone."""
    labels = {"num_labels": objective.num_labels, "num_logits": objective.num_logits}
    init = factory(config.init)()
    with torch.random.fork_rng(devices=[]):
        seed_globally(keyed_seed(config.seed, "build"))  # for a network that brings its own initial weights
        model = build_backbone(config, data.train.shape, **labels)
    if isinstance(model, External) and not isinstance(init, Default):
        raise SkiplabError(
            f"backbone=external brings its own initial weights, and {type(init).__name__} would draw others; take "
            "init=default"
        )
    initialise(model, init, config.seed, model.drawn_modules())
    return model


def build(config: DictConfig) -> Parts:
    """Everything that can be refused before training starts, built, and the network run once.

    Raises:
        SkiplabError: names the values that are invalid and the valid ones, all that can be told at once.
    """
    complaints = Complaints()
    for name, most in _COUNTS.items():
        complaints.of(_check_whole, name, OmegaConf.select(config, name), 1, most)
    complaints.of(_check_whole, "seed", config.seed, 0, None)
    sized = None if complaints else config  # the network and its batches can't be tried without
    for name in _SWITCHES:
        complaints.of(_check_kind, name, OmegaConf.select(config, name), bool)
    for name in _NUMBERS:
        complaints.of(_check_kind, name, OmegaConf.select(config, name), float)
    complaints.of(study_folder, Path(config.run.runs_dir), config.run.study)
    for sentence in out_of_range(config):
        complaints.note(sentence)
    complaints.of(_check_device, config)
    complaints.of(check_apart, config)
    complaints.of(_check_eval_batch, config.eval_batch)
    for axis in complaints.of(lambda: option(config.objective).axes) or ():
        complaints.of(_made, config[axis])
    sampler, augmentation = complaints.of(_made, config.sampler), complaints.of(_made, config.augmentation)
    for node in chosen(config.instrument).values():
        complaints.of(_made, node)
    evaluators = {name: complaints.of(_made, node) for name, node in chosen(config.evaluator).items()}

    data = complaints.of(build_data, config)
    objective = complaints.on(build_objective, config, data)
    complaints.on(lambda data, augmentation: augmentation.check(data.train.shape), data, augmentation)
    complaints.on(lambda data, sized: Batches(len(data.train), sized.batch_size, sized.seed), data, sized)
    if isinstance(objective, Denoising):
        complaints.on(lambda sampler: sampler.check(objective), sampler)
    for name, evaluator in evaluators.items():
        complaints.on(partial(_check_evaluator, name), evaluator, objective, data)
    if any(evaluator.needs_extractor for evaluator in evaluators.values() if evaluator is not None):
        complaints.on(partial(_check_extractor, config), data)
    model = complaints.on(build_model, sized, data, objective)
    complaints.on(check_ranks, sized, model)
    if not complaints.about("frozen_fraction"):
        complaints.on(lambda model: num_frozen(len(blocks(model)), config.frozen_fraction), model)
    optimizer = None if complaints.about("optimizer") else complaints.of(_build_optimizer, config, model)
    complaints.on(
        lambda optimizer, sized: factory(sized.scheduler)(optimizer, sized.trainer.max_steps), optimizer, sized
    )
    for node in (config.trainer, config.logger, config.feature_extractor):  # what is only made later
        if node._target_ is not None:
            complaints.of(factory, node)
    complaints.tell()

    costs = parity(model, objective.example(data.train.shape), config.depth)
    if config.run.activation_checkpointing:
        recompute_stages(model)
    return Parts(data=data, objective=objective, model=model, costs=costs)


def _made(node: DictConfig) -> Any:
    return factory(node)()


def _build_optimizer(config: DictConfig, model: nn.Module | None) -> torch.optim.Optimizer:
    """Of the network's parameters; of one alone, where the network itself was refused."""
    return factory(config.optimizer)([nn.Parameter(torch.zeros(1))] if model is None else model.parameters())


def _check_evaluator(name: str, evaluator: Evaluator, objective: Objective, data: Dataset) -> None:
    evaluator.check(objective, data, name)


def _check_extractor(config: DictConfig, data: Dataset) -> None:
    shape = data.train.shape
    _made(config.feature_extractor).for_shape(shape).check(shape)


def _check_eval_batch(node: DictConfig) -> None:
    check_settings(EvalBatch, node)
    EvalBatch(**node)


def _check_kind(name: str, value: Any, kind: type) -> None:
    if not is_of(value, kind):
        raise SkiplabError(refusal(name, value, kind))


def _check_whole(name: str, value: Any, least: int, most: int | None) -> None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        limit = f" to {most}" if is_whole and most is not None else ""
        raise SkiplabError(f"{name}={as_given(value)} is invalid; valid: a whole number from {least}{limit}")


def _check_device(config: DictConfig) -> None:
    accelerator, precision = config.trainer.accelerator, config.trainer.precision
    if precision not in _PRECISIONS:
        raise SkiplabError(f"trainer.precision={precision} is invalid; valid: {', '.join(_PRECISIONS)}")
    if accelerator not in ("cpu", "gpu"):
        raise SkiplabError(f"trainer.accelerator={accelerator} is invalid; valid: cpu, gpu")


def check_machine(config: DictConfig) -> None:
    """Refuse a trial for whose devices or account one has to go to another machine, as a launcher may do.

    Raises:
        SkiplabError: names what is missing here.
    """
    if "offline" in config.logger:  # W&B's
        from skiplab.training.wandb_settings import check_wandb

        check_wandb(config.logger.project, config.logger.offline)
    if config.trainer.accelerator != "gpu":
        return
    if not torch.cuda.is_available():
        raise SkiplabError("trainer.accelerator=gpu, but this machine has no GPU that torch can use; take trainer=cpu")
    devices = OmegaConf.select(config, "trainer.devices", default=1)
    if torch.cuda.device_count() < devices:
        raise SkiplabError(
            f"trainer.devices={devices} needs as many GPUs, and torch can use {torch.cuda.device_count()} here; "
            "take fewer devices, or trainer.accelerator=cpu"
        )
