"""Writes the training losses to the record, and ends training when it diverges."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from skiplab.gradient_scaler import gradient_scaler
from skiplab.records.appended_table import AppendedTable
from skiplab.training.divergence import Divergence

_STATE = "divergence"  # its key in a checkpoint


class _Step(NamedTuple):
    number: int
    loss: Tensor
    skipped: bool


class Recorder(pl.Callback):
    """Appends the loss of every step to the history; losses are fetched from the device every few steps.

    The history ends with the loss that shows divergence, however many steps were made before it was fetched. In mixed
    precision, a step without an update (because a scaled gradient overflowed) is recorded as `skipped_update`.

    Args:
        history: the record's table of (step, metric, value).
        divergence: judges the losses; a checkpoint holds its state, so that a resumed trial ends as an unbroken one.
        log_every_steps: number of steps between two fetches.
    """

    def __init__(self, history: AppendedTable, divergence: Divergence, *, log_every_steps: int) -> None:
        self.history = history
        self.divergence = divergence
        self.log_every_steps = log_every_steps
        self._pending: list[_Step] = []
        self._scaled = self._updated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._scaled = gradient_scaler(trainer) is not None
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(self._note_update)

    def _note_update(self, *_: Any) -> None:
        self._updated = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not isinstance(outputs, Mapping) or "loss" not in outputs:
            return  # of another's module that optimizes by itself
        skipped = self._scaled and not self._updated
        self._pending.append(_Step(trainer.global_step - 1, outputs["loss"].detach(), skipped))
        self._updated = False
        if trainer.global_step % self.log_every_steps == 0 or trainer.global_step == trainer.max_steps:
            self._flush(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._flush(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._flush(trainer)  # a resumed trial continues after these steps, so they must be on disk
        checkpoint[_STATE] = self.divergence.state()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.divergence.restore(checkpoint[_STATE])

    def _flush(self, trainer: pl.Trainer) -> None:
        if not self._pending:
            return
        losses = torch.stack([step.loss for step in self._pending]).double().cpu().tolist()
        rows: list[tuple[int, str, float]] = []
        seen: list[float] = []
        for step, loss in zip(self._pending, losses, strict=True):
            if self.divergence.step is not None:
                break
            self.divergence.see(loss)
            seen.append(loss)
            rows += [(step.number, "loss", loss), *([(step.number, "skipped_update", 1.0)] if step.skipped else [])]
        self._pending.clear()
        self.history.append(rows)
        if trainer.logger is not None and seen:
            trainer.logger.log_metrics({"loss": sum(seen) / len(seen)}, step=rows[-1][0])
        trainer.should_stop = trainer.should_stop or self.divergence.step is not None
