"""A LightningModule and its data, as a trial's configuration names them."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import WandbLogger
from torch import nn

from skiplab.blocks.block import Join
from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument
from skiplab.instruments.own_loop.loop_observer import LoopObserver
from skiplab.layers import weighted_modules
from skiplab.records.plain_config import plain
from skiplab.records.record_schema import Costs
from skiplab.seeding import keyed_seed
from skiplab.targets import locate
from skiplab.training.components import MakeLogger, MakeTrainer
from skiplab.training.factory import factory
from skiplab.training.own_module.keyed_batches import seed_everything
from skiplab.training.plan import enabled

OWN = ("target", "version")  # keys of the nodes `module` and `data` that are no arguments


@dataclass(frozen=True)
class ModuleParts:
    """All that a trial of a LightningModule is made of. starts: a hash of each initial weight, by its name."""

    module: pl.LightningModule
    datamodule: pl.LightningDataModule | None
    instruments: Mapping[str, Instrument]
    make_trainer: MakeTrainer
    make_logger: MakeLogger | None
    costs: Costs
    starts: Mapping[str, str]


def make_parts(config: DictConfig) -> ModuleParts:
    """Make a trial's module at its initial weights, which depend on the seed and on what its code draws.

    Raises:
        SkiplabError: the module or its data can't be made, or an instrument can't measure it.
    """
    instruments = {name: factory(node, Instrument)() for name, node in enabled(config.instrument).items()}
    seed_everything(keyed_seed(config.seed, "build"))
    module = _make("make_module", config.module, pl.LightningModule)
    seed_everything(keyed_seed(config.seed, "data"))
    datamodule = None if config.data.target is None else _make("datamodule", config.data, pl.LightningDataModule)
    LoopObserver(module, list(instruments.values()), blocks=None, example_inputs=None)  # refuses what can't be measured
    return ModuleParts(
        module=module,
        datamodule=datamodule,
        instruments=instruments,
        make_trainer=factory(config.trainer, Trainer),
        make_logger=factory(config.logger, WandbLogger) if config.logger._target_ is not None else None,
        costs={
            "num_parameters": sum(each.numel() for each in module.parameters()),
            "flops_per_sample": None,
            "activation_bytes_per_sample": None,
            "depth": None,
            "num_layers": len(weighted_modules(module)),
            "num_joins": sum(isinstance(each, Join) for each in module.modules()),
        },
        starts={name: _hash(parameter) for name, parameter in module.named_parameters()},
    )


def _make(argument: str, node: DictConfig, kind: type) -> Any:
    arguments = {name: value for name, value in plain(node).items() if name not in OWN}
    make: Callable[..., Any] = locate(node.target)
    try:
        made = make(**arguments)
    except SkiplabError:
        raise
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise SkiplabError(
            f"{argument}={node.target} fails with {given or 'no arguments'}: {type(error).__name__}: {error}; give "
            "arguments that it takes in factors or settings"
        ) from error
    if not isinstance(made, kind):
        raise SkiplabError(
            f"{argument}={node.target} makes a {type(made).__name__}; valid: a pytorch_lightning.{kind.__name__} "
            "(`import pytorch_lightning as pl`, not `import lightning`, whose classes differ)"
        )
    return made


def _hash(parameter: nn.Parameter) -> str:
    """16 digits that tell a weight's shape and content from others."""
    content = parameter.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(repr(tuple(parameter.shape)).encode() + content).hexdigest()[:16]
