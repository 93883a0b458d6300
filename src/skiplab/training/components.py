"""What a trial consists of: made once from its configuration, and typed from there on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger, WandbLogger

from skiplab.backbones.backbone import Backbone
from skiplab.data.augmentation import Augmentation
from skiplab.data.dataset import Dataset
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.instruments.instrument import Instrument
from skiplab.layers import Network
from skiplab.objectives.objective import Objective
from skiplab.records.record_schema import Costs
from skiplab.samplers.sampler import Sampler
from skiplab.training.weight_average import WeightAverage


class MakeTrainer(Protocol):
    """An option of the axis `trainer` with its settings; see `make_trainer`."""

    def __call__(
        self,
        callbacks: list[Callback],
        logger: Logger | None,
        checkpoints: Path,
        checkpoint_every_steps: int,
        progress: bool,
        /,
    ) -> Trainer: ...


class MakeLogger(Protocol):
    """An option of the axis `logger` with its settings; see `make_wandb_logger`."""

    def __call__(
        self, key: str, study: str, choices: dict[str, str], factors: dict[str, Any], folder: Path, /
    ) -> WandbLogger | None: ...


@dataclass(frozen=True)
class Ranks:
    """The processes that share each batch.

    devices: number of processes.
    backend: of their process group, 'gloo' or 'nccl'.
    rebuild: makes the components again in another process; can be pickled.
    """

    devices: int
    backend: str
    rebuild: "Callable[[], Components]"


@dataclass(frozen=True)
class RunSettings:
    """Settings of a trial that belong to no component; they have the names of the configuration.

    device: the device of the network, as PyTorch names it.
    ranks: the processes that share each batch; None for one process.
    """

    study: str
    seed: int
    batch_size: int
    num_threads: int
    frozen_fraction: float
    divergence_factor: float
    max_steps: int
    checkpoint_every_steps: int
    log_every_steps: int
    cuda_graph: bool
    device: torch.device
    ranks: Ranks | None

    @property
    def on_one_gpu(self) -> bool:
        return self.device.type == "cuda" and self.ranks is None


@dataclass(frozen=True)
class Components:
    """All that a trial is made of.

    network: the layers, blocks and joins of the model.
    make_untrained: makes the same network again at its initial weights.
    make_extractor: returns the feature extractor, which is made when it is first needed.
    weight_average: kept over training and then judged in place of the last weights; None to judge those.
    make_logger: None for no logger.
    costs: what the network costs, see `parity`.
    """

    settings: RunSettings
    data: Dataset
    augmentation: Augmentation
    objective: Objective
    model: Backbone
    network: Network
    make_untrained: Callable[[], Backbone]
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    weight_average: WeightAverage | None
    make_trainer: MakeTrainer
    make_logger: MakeLogger | None
    instruments: Mapping[str, Instrument]
    evaluators: Mapping[str, Evaluator[Any]]
    eval_batch: EvalBatch
    sampler: Sampler
    make_extractor: Callable[[], FeatureExtractor]
    costs: Costs
