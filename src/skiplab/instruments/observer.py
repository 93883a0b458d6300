"""Runs the instruments on their schedules; fetches and writes what they read together."""

from collections.abc import Sequence

import pytorch_lightning as pl
import torch

from skiplab.gradient_scaler import gradient_scaler
from skiplab.instruments.instrument import Instrument
from skiplab.layers import Network
from skiplab.records.appended_table import AppendedTable
from skiplab.records.layer_keys import layer_key


class Observer(pl.Callback):
    """Calls the instruments that are due at a step, and fetches all their readings in one transfer.

    Args:
        instruments: what measures.
        network: what is measured.
        table: the record's table of (step, index, path, quantity, value).
    """

    def __init__(self, instruments: Sequence[Instrument], *, network: Network, table: AppendedTable) -> None:
        self.instruments, self.network, self.table = instruments, network, table
        self._step, self._due = 0, []

    def on_train_batch_start(self, trainer, module, batch, batch_index) -> None:
        self._step = trainer.global_step
        self._due = [each for each in self.instruments if each.is_due(self._step)]
        module.watched = bool(self._due)
        for instrument in self._due:
            instrument.begin(self.network, self._step)

    def on_before_optimizer_step(self, trainer, module, optimizer) -> None:
        if not self._due:
            return
        scaler = gradient_scaler(trainer)
        loss_scale = 1.0 if scaler is None else scaler.get_scale()
        for instrument in self._due:
            instrument.before_update(loss_scale)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        readings = [reading for instrument in self._due for reading in instrument.after_update()]
        if not readings:
            return
        values = torch.stack([value for reading in readings for value in reading.values]).cpu().tolist()
        cells = [(reading.quantity, place) for reading in readings for place in reading.places]
        rows = [
            (self._step, place.index, place.path, quantity, value)
            for (quantity, place), value in zip(cells, values, strict=True)
        ]
        self.table.append(rows)
        if trainer.logger is not None:
            metrics = {layer_key(quantity, path): value for _, _, path, quantity, value in rows}
            trainer.logger.log_metrics(metrics, step=self._step)
