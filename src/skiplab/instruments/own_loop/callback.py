"""Instruments as a callback of PyTorch Lightning, for any LightningModule."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from skiplab.instruments.own_loop.watch import MakeWatch, Watch

_STEP = "next_step"  # its key in a checkpoint


class WatchCallback(pl.Callback):
    """Watches the updates of a LightningModule; under accumulation, an update has several batches.

    Args:
        make_watch: makes the watch of a module, its file, from the number of the first update.
        to: the file; None for readings.csv in the folder of the trainer's logger.
    """

    def __init__(self, make_watch: MakeWatch, to: Path | None) -> None:
        self._make_watch, self._to = make_watch, to
        self._watch: Watch | None = None
        self._resumed_at = self._num_updates = 0
        self._losses: list[Tensor] = []  # of the batches of an update

    @property
    def watch(self) -> Watch | None:
        """The watch of the training; None before it."""
        return self._watch

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # asked on all ranks, which must agree
        self._watch = self._make_watch(pl_module, self._to or folder / "readings.csv", self._resumed_at)
        self._watch.start()
        self._num_updates = trainer.global_step

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._watch is not None:
            self._watch.begin()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._watch is None:
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            self._losses.append(loss.detach())
        if trainer.global_step == self._num_updates:
            return
        self._num_updates = trainer.global_step
        # in automatic optimization Lightning has divided each by the number of batches
        num_batches = 1 if pl_module.automatic_optimization else len(self._losses)
        loss = sum(self._losses) / num_batches if self._losses else None
        step, found = self._watch.next_step, self._watch.end(loss)
        self._losses = []
        if found:
            for logger in trainer.loggers:
                logger.log_metrics(found, step=step)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def state_dict(self) -> dict[str, Any]:
        return {_STEP: self._resumed_at if self._watch is None else self._watch.next_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._resumed_at = state_dict[_STEP]

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.close()
