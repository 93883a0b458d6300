"""From a composed configuration to the objects of a trial; whatever is invalid is refused here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.external import External
from skiplab.blocks.block import recompute_stages
from skiplab.blocks.inits.default import Default
from skiplab.blocks.recipe import Recipe
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.probe import Probe
from skiplab.layers import blocks
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.training.batches import Batches
from skiplab.training.freezing import num_frozen
from skiplab.training.parity import parity
from skiplab.training.plan import chosen
from skiplab.training.process_group import check_ranks
from skiplab.training.ranges import check_ranges
from skiplab.training.record import study_folder
from skiplab.training.seeding import initialise, keyed_seed, seed_globally

# Settings that must be whole numbers from 1.
_COUNTS = (
    "depth",
    "width",
    "batch_size",
    "num_threads",
    "trainer.max_steps",
    "run.checkpoint_every_steps",
    "run.log_every_steps",
)
# Settings that are true or false.
_SWITCHES = ("run.rerun", "run.retry_failed", "run.dry_run", "run.activation_checkpointing", "run.cuda_graph")
_PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")


class Parts(NamedTuple):
    """What a trial is made of, and what its network costs (see `parity`)."""

    data: Dataset
    objective: Objective
    model: Backbone
    costs: dict[str, Any]


def maker(node: DictConfig) -> Callable[..., Any]:
    """What an option's YAML describes, still to be called with its runtime arguments."""
    try:
        get_object(node._target_)
    except Exception as error:
        raise SkiplabError(f"_target_={node._target_} can't be imported: {error}") from error
    return instantiate(node, _partial_=True, _convert_="all")


def build_data(config: DictConfig) -> Dataset:
    return maker(config.data)()


def build_objective(config: DictConfig, data: Dataset) -> Objective:
    make = maker(config.objective)
    parts = {axis: maker(config[axis])() for axis in get_object(config.objective._target_).axes}
    return make(data.num_classes, **parts)


def build_backbone(config: DictConfig, shape: tuple[int, ...], *, num_labels: int, num_logits: int) -> Backbone:
    """The network for inputs of a shape, told `num_labels` labels, telling apart `num_logits`; not yet initialised."""
    recipe = Recipe(
        depth=config.depth,
        width=config.width,
        shape=shape,
        num_labels=num_labels,
        num_logits=num_logits,
        connection=maker(config.connection),
        branch=maker(config.branch),
        shortcut=maker(config.shortcut),
        norm=maker(config.norm),
        activation=maker(config.activation),
        long_skip=maker(config.long_skip),
    )
    return maker(config.backbone)(recipe)


def build_model(config: DictConfig, data: Dataset, objective: Objective) -> Backbone:
    """The network at its initial weights, which depend on (seed, path) alone."""
    labels = {"num_labels": objective.num_labels, "num_logits": objective.num_logits}
    init = maker(config.init)()
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
        SkiplabError: names the value that is invalid and the valid ones.
    """
    for name in _COUNTS:
        _check_whole(name, OmegaConf.select(config, name), least=1)
    _check_whole("seed", config.seed, least=0)
    for name in _SWITCHES:
        if not isinstance(OmegaConf.select(config, name), bool):
            raise SkiplabError(f"{name}={OmegaConf.select(config, name)} is invalid; valid: true, false")
    study_folder(Path(config.run.runs_dir), config.run.study)
    check_ranges(config)
    _check_device(config)
    data = build_data(config)
    objective = build_objective(config, data)
    Batches(len(data.train), config.batch_size, config.seed)
    Probe(**config.probe)
    maker(config.augmentation)().check(data.train.shape)
    sampler = maker(config.sampler)()
    if isinstance(objective, Denoising):
        sampler.check(objective)
    for node in chosen(config.instrument).values():
        maker(node)()
    evaluators = {name: maker(node)() for name, node in chosen(config.evaluator).items()}
    for name, evaluator in evaluators.items():
        evaluator.check(objective, data, name)
    if any(evaluator.needs_extractor for evaluator in evaluators.values()):
        maker(config.feature_extractor)().check(data.train.shape)
    model = build_model(config, data, objective)
    check_ranks(config, model)
    num_frozen(len(blocks(model)), config.frozen_share)
    try:
        optimizer = maker(config.optimizer)(model.parameters())
    except (ValueError, TypeError) as error:
        settings = ", ".join(f"optimizer.{name}={value}" for name, value in config.optimizer.items() if name[0] != "_")
        raise SkiplabError(f"the optimizer refuses one of {settings}: {error}") from error
    maker(config.scheduler)(optimizer, config.trainer.max_steps)
    costs = parity(model, objective.example(data.train.shape), config.depth)
    if config.run.activation_checkpointing:
        recompute_stages(model)
    return Parts(data=data, objective=objective, model=model, costs=costs)


def _check_whole(name: str, value: Any, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SkiplabError(f"{name}={value} is invalid; valid: a whole number from {least}")


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
