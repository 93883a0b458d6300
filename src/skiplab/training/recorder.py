"""Writes the training losses to the record, and ends training when it diverges."""

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from skiplab.gradient_scaler import gradient_scaler
from skiplab.records.appended_table import AppendedTable


class Recorder(pl.Callback):
    """Appends the loss of every step to the history; losses are fetched from the device every few steps.

    Training has diverged when a loss isn't finite or is above `diverged_above`; `diverged_step` is the first such step.
    In mixed precision, a step without an update (because a scaled gradient overflowed) is recorded as `skipped_update`.

    Args:
        history: the record's table of (step, metric, value).
        log_every_steps: number of steps between two fetches.
        diverged_above: the loss above which training has diverged.
    """

    def __init__(self, history: AppendedTable, *, log_every_steps: int, diverged_above: float) -> None:
        self.history = history
        self.log_every_steps = log_every_steps
        self.diverged_above = diverged_above
        self.diverged_step: int | None = None
        self._pending: list[tuple[int, Tensor]] = []
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
        step = trainer.global_step - 1
        self._pending.append((step, outputs["loss"].detach()))
        if self._scaled and not self._updated:
            self.history.append([(step, "skipped_update", 1.0)])
        self._updated = False
        if trainer.global_step % self.log_every_steps == 0 or trainer.global_step == trainer.max_steps:
            self._flush(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._flush(trainer)  # a resumed trial continues after these steps, so they must be on disk

    def _flush(self, trainer: pl.Trainer) -> None:
        if not self._pending:
            return
        steps = [step for step, _ in self._pending]
        losses = torch.stack([loss for _, loss in self._pending]).double().cpu().tolist()
        self._pending.clear()
        by_step = dict(zip(steps, losses, strict=True))
        self.history.append((step, "loss", loss) for step, loss in by_step.items())
        if trainer.logger is not None:
            trainer.logger.log_metrics({"loss": sum(losses) / len(losses)}, step=steps[-1])
        self.look_for_divergence(by_step)
        trainer.should_stop = trainer.should_stop or self.diverged_step is not None

    def look_for_divergence(self, losses: Mapping[int, float]) -> None:
        """Note the first step at which training has diverged, if it has."""
        diverged = [step for step, loss in losses.items() if not math.isfinite(loss) or loss > self.diverged_above]
        if diverged:
            self.diverged_step = min(diverged)
