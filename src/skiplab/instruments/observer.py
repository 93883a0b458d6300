"""Runs the instruments on their schedules, and writes their readings to the record."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

import pytorch_lightning as pl
from torch.optim import Optimizer

from skiplab.data.dataset import Split
from skiplab.gradient_scaler import gradient_scaler
from skiplab.instruments.instrument import Instrument
from skiplab.instruments.reading_rows import reading_rows
from skiplab.layers import Network
from skiplab.objectives.objective import Objective
from skiplab.records.appended_table import AppendedTable
from skiplab.records.layer_keys import layer_key


class _Watched(Protocol):
    """The training module. A step that instruments measure isn't replayed as a CUDA graph."""

    watched: bool
    objective: Objective[Any]
    split: Split


class Observer(pl.Callback):
    """Calls the instruments that are due in a step, and fetches all their readings in one transfer.

    Args:
        instruments: the instruments.
        network: the network that they measure.
        table: the record's table with columns (step, index, path, quantity, value).
    """

    def __init__(self, instruments: Sequence[Instrument], *, network: Network, table: AppendedTable) -> None:
        self.instruments, self.network, self.table = instruments, network, table
        self._step = 0
        self._due: list[Instrument] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast("_Watched", pl_module)
        for instrument in self.instruments:
            instrument.prepare(self.network, module.objective, module.split)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._step = trainer.global_step
        self._due = [each for each in self.instruments if each.is_due(self._step)]
        cast("_Watched", pl_module).watched = bool(self._due)
        for instrument in self._due:
            instrument.begin(self.network, self._step)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        if not self._due:
            return
        scaler = gradient_scaler(trainer)
        loss_scale = 1.0 if scaler is None else scaler.get_scale()
        for instrument in self._due:
            instrument.before_update(loss_scale)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        rows = reading_rows(self._step, [reading for instrument in self._due for reading in instrument.after_update()])
        if not rows:
            return
        self.table.append(rows)
        if trainer.logger is not None:
            metrics = {layer_key(row.quantity, row.path): row.value for row in rows}
            trainer.logger.log_metrics(metrics, step=self._step)
