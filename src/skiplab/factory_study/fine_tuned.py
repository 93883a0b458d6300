"""A trained network that is trained on with a connection in the place of its shortcuts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skiplab.ablation import ablate
from skiplab.analysis.study.study import Study
from skiplab.blocks.connection import set_progress
from skiplab.errors import SkiplabError
from skiplab.factory_study.factory import ModelFactory
from skiplab.factory_study.module_study import module_study
from skiplab.measured_shortcuts import loss_parts
from skiplab.surgery.find_shortcuts import find_shortcuts
from skiplab.surgery.shortcut import Kind
from skiplab.targets import locate


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained on.

    steps: of Adam.
    connection: the option that takes the place of its shortcuts.
    lr: Adam's learning rate.
    seeds: of the batches, one trial of each arm for each.

    Raises:
        SkiplabError: a setting is invalid.
    """

    steps: int
    connection: str = "plain"
    lr: float = 1e-3
    seeds: Sequence[int] = (0, 1, 2)

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.lr > 0:
            raise SkiplabError(
                f"steps={self.steps} and lr={self.lr:g} are invalid; valid: steps from 1, and a learning rate above 0"
            )
        if self.connection == "identity":
            raise SkiplabError(
                "connection=identity keeps the shortcuts, as the other arm does; give another connection"
            )


class FineTuned(pl.LightningModule):
    """Trains a checkpoint on, by Adam, with its shortcuts replaced. The seed decides its batches alone.

    Args:
        checkpoint: import path of the function that returns the network, the arguments of one forward pass, its loss,
            and batch_loss(model, seed), the loss of a training batch that is drawn from a seed.
        checkpoint_version: a hash of the function's file, so that trials of another file are other trials.
        connection: the option that replaces the shortcuts; `identity` keeps them.
        steps: how many batches it is trained on.
        lr: Adam's learning rate.
        path, kinds: of the shortcuts that are replaced.
    """

    def __init__(
        self,
        checkpoint: str,
        checkpoint_version: str,
        connection: str,
        steps: int,
        lr: float,
        path: str = "*",
        kinds: Sequence[Kind] | None = None,
    ) -> None:
        super().__init__()
        made = locate(checkpoint)()
        if len(made) != 4 or not callable(made[3]):
            raise SkiplabError(
                f"{checkpoint} returns {len(made)} values, and to be trained on it must return a fourth: a function "
                "batch_loss(model, seed), the loss of a training batch that is drawn from the seed"
            )
        model, inputs, self.loss, self.batch_loss = made
        self.model: nn.Module = ablate(model, connection, find_shortcuts(model, inputs).where(path=path, kind=kinds))
        self.steps, self.lr = steps, lr

    def training_step(self, step: Tensor) -> Tensor:
        number = int(step)
        set_progress(self.model, number / max(self.steps - 1, 1))
        return self.batch_loss(self.model, int(torch.randint(2**31, ())))  # of generators that its trial seeds

    def validation_step(self, _: Tensor) -> None:
        first = next(iter(loss_parts(self.loss, self.model).values()))
        self.log("loss", first, batch_size=1)

    def train_dataloader(self) -> DataLoader[int]:
        return DataLoader(range(self.steps), batch_size=None)  # pyright: ignore[reportArgumentType]

    def val_dataloader(self) -> DataLoader[int]:
        return DataLoader(range(1), batch_size=None)  # pyright: ignore[reportArgumentType]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def fine_tuned_study(
    checkpoint: Callable[[], Any],
    training: Training,
    *,
    path: str,
    kinds: Sequence[Kind] | None,
    folder: Path,
) -> Study:
    """Train a checkpoint on with its own shortcuts and with a connection in their place, once for each seed.

    Raises:
        SkiplabError: if it can't be trained on.
    """
    factory = ModelFactory.of(checkpoint, "MODEL")
    settings = {
        "checkpoint": factory.import_path,
        "checkpoint_version": factory.version,
        "steps": training.steps,
        "lr": training.lr,
        "path": path,
        "trainer.max_steps": training.steps,
        "logger": "none",
    }
    return module_study(
        FineTuned,
        None,
        factors={"connection": ["identity", training.connection]},
        seeds=training.seeds,
        metrics={"loss": "lower"},
        name="trained_on",
        runs_dir=folder / "runs",
        settings=settings if kinds is None else {**settings, "kinds": list(kinds)},
    )
