"""Instruments in a trial of a LightningModule."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl

from skiplab.instruments.instrument import Instrument
from skiplab.instruments.own_loop.loop_observer import LoopObserver
from skiplab.records.appended_table import AppendedTable
from skiplab.records.layer_keys import layer_key


class ModuleObserver(pl.Callback):
    """Writes the readings of a module's updates to the record.

    Args:
        instruments: the instruments.
        table: the record's table with columns (step, index, path, quantity, value).
    """

    def __init__(self, instruments: Sequence[Instrument], *, table: AppendedTable) -> None:
        self.instruments, self.table = instruments, table
        self._observer: LoopObserver | None = None
        self._step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._observer = LoopObserver(pl_module, self.instruments, blocks=None, example_inputs=None)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._observer is not None and not self._observer.is_open:
            self._step = trainer.global_step
            self._observer.begin(self._step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._observer is None or not self._observer.is_open or trainer.global_step == self._step:
            return
        rows = self._observer.end()
        self.table.append(rows)
        if rows and trainer.logger is not None:
            found = {layer_key(row.quantity, row.path): row.value for row in rows}
            trainer.logger.log_metrics(found, step=self._step)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self._observer is not None:
            self._observer.abandon()
