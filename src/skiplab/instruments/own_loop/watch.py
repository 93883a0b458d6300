"""Instruments around any training loop."""

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument, TrainingLog
from skiplab.instruments.own_loop.any_network import check_placement
from skiplab.instruments.own_loop.loop_observer import LoopObserver
from skiplab.instruments.own_loop.readings_file import LOSS, WHOLE, open_readings, read_readings
from skiplab.instruments.reading_rows import Row
from skiplab.records.appended_table import AppendedTable
from skiplab.records.layer_keys import layer_key

_NEVER_UPDATED = (
    "nothing was measured, since no optimizer of torch.optim updated the watched network; let one take the steps, or "
    "watch the network that it updates"
)
_MOST_PENDING = 1000  # losses that wait to be fetched from the device


class Watch:
    """Measures the updates of a loop from `with` on, each ended by a call of `step`.

    In a run of several processes, the first measures and writes, and the others do nothing.

    Args:
        model: the network that is trained.
        instruments: the instruments.
        to: the file of the readings, with the columns of a record's layers.csv.
        blocks, example_inputs: see `network_of`.
        batch_size: samples of an update; None if it isn't known.
        zero_loss: the loss of a predictor whose output is always zero; None if it isn't known.
        first_step: the number of the first update, above 0 where training goes on; the file is then continued.
    """

    def __init__(
        self,
        model: nn.Module,
        instruments: Sequence[Instrument],
        *,
        to: Path,
        blocks: str | None,
        example_inputs: Any,
        batch_size: int | None,
        zero_loss: float | None,
        first_step: int,
    ) -> None:
        self.path, self.next_step = to, first_step
        self._instruments, self._first_step = instruments, first_step
        self._batch_size, self._zero_loss = batch_size, zero_loss
        self._observer = LoopObserver(model, instruments, blocks=blocks, example_inputs=example_inputs)
        self._measures = not (dist.is_available() and dist.is_initialized() and dist.get_rank() != 0)
        self._table: AppendedTable | None = None
        self._losses: list[tuple[int, float | Tensor]] = []

    def __enter__(self) -> Self:
        self.start()
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Open the file."""
        if self._measures:
            check_placement(self._observer.network.model)
            self._table = open_readings(self.path, self._first_step)

    def begin(self) -> None:
        """Before an update's first forward pass, unless `step` has said so; more calls do nothing."""
        if self._table is not None and not self._observer.is_open:
            self._observer.begin(self.next_step)

    def step(self, loss: Tensor | float | None = None) -> dict[str, float]:
        """Behind an update: writes its readings, and begins the next.

        Args:
            loss: the update's loss, which `stability` and the figure of losses need.

        Returns:
            The readings of a measured step, by names such as 'layers/weight_gradient_norm/encoder.000', for a logger of
            your own; empty for other steps.

        Raises:
            SkiplabError: the loss isn't one number.
        """
        found = self.end(loss)
        self.begin()
        return found

    def end(self, loss: Tensor | float | None = None) -> dict[str, float]:
        """The same without beginning the next update."""
        if self._table is None:
            return {}
        if loss is not None:
            self._losses.append((self.next_step, _kept(loss)))
        self.next_step += 1
        rows = self._observer.end() if self._observer.is_open else []
        if rows or len(self._losses) >= _MOST_PENDING:
            self._write(self._table, rows)
        return {layer_key(row.quantity, row.path): row.value for row in rows}

    def close(self) -> None:
        """Remove all hooks and finish the file; further steps aren't measured. Warns if no step could be measured."""
        self._observer.abandon()
        if self._table is not None and self._observer.never_updated:
            warnings.warn(_NEVER_UPDATED, stacklevel=3)
        if self._table is not None:
            self._write(self._table, [])
            self._table.close()
            self._table = None

    def summary(self) -> dict[str, float]:
        """The summary values of the instruments, as a trial's record has them, of all that the file holds by now.

        Values that need what isn't known are left out: `batch_size` for the gradient noise scale, `zero_loss` for the
        steps to a threshold.
        """
        if not self._measures:
            return {}
        if self._table is not None:
            self._write(self._table, [])
        readings = read_readings(self.path)
        losses = readings.losses
        log = TrainingLog(
            readings=readings.layers,
            losses=losses,
            diverged=bool(len(losses)) and not math.isfinite(losses.iloc[-1]),
            num_skipped=None,
            zero_loss=self._zero_loss,
            max_steps=self.next_step,
            batch_size=self._batch_size,
        )
        return {name: value for each in self._instruments for name, value in each.summarize(log).items()}

    def _write(self, table: AppendedTable, rows: Sequence[Row]) -> None:
        steps = [step for step, _ in self._losses]
        values = _fetched([loss for _, loss in self._losses])
        losses = [Row(step, 0, WHOLE, LOSS, value) for step, value in zip(steps, values, strict=True)]
        self._losses.clear()
        if rows or losses:
            table.append([*losses, *rows])


# From a network, the file of its readings and the number of the first update.
MakeWatch = Callable[[nn.Module, Path, int], Watch]


def _kept(loss: float | Tensor) -> float | Tensor:
    """A loss on a CPU as a number, which keeps no tensor alive; one on another device is fetched later, with others."""
    if not isinstance(loss, Tensor):
        return loss
    if loss.numel() != 1:
        raise SkiplabError(f"loss has the shape {tuple(loss.shape)}; valid: a number, such as the batch's mean loss")
    return loss.item() if loss.is_cpu else loss.detach()


def _fetched(losses: Sequence[float | Tensor]) -> list[float]:
    """The losses as numbers, in one transfer from the device."""
    tensors = [loss for loss in losses if isinstance(loss, Tensor)]
    fetched = iter(torch.stack([loss.reshape(()).double() for loss in tensors]).tolist() if tensors else [])
    return [next(fetched) if isinstance(loss, Tensor) else float(loss) for loss in losses]
