"""The interface of an instrument: what it measures in a training step, without changing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from torch import Tensor

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.layers import Block, IndexedJoin, Layer, Network
from skiplab.metrics import Metric


@dataclass(frozen=True)
class Reading:
    """One quantity of several places of the network at one step.

    quantity: its name; `quantity.line` for one of several lines of the chart `quantity`.
    values: float64 scalars, a place each, still on the training device.
    """

    quantity: str
    places: Sequence[Layer | Block | IndexedJoin]
    values: Sequence[Tensor]


@dataclass(frozen=True)
class TrainingLog:
    """All that was written down while a trial trained.

    readings: what the instruments read, columns step, index, path, quantity, value.
    losses: the loss of each step, by step.
    num_skipped: steps whose update was left out, since a scaled gradient overflowed in mixed precision.
    zero_loss: the loss of the network that answers zero.
    max_steps: steps that the training was to have.
    batch_size: samples a step.
    """

    readings: pd.DataFrame
    losses: pd.Series
    num_skipped: int
    zero_loss: float
    max_steps: int
    batch_size: int

    def of(self, quantity: str) -> pd.Series:
        """All values of a quantity."""
        return self.readings.loc[self.readings["quantity"] == quantity, "value"]

    def inside_blocks(self, quantity: str) -> pd.Series:
        """The values of a quantity of the layers of branches; of all layers where the network isn't made of blocks."""
        found, inside = self.of(quantity), self.readings["path"].str.contains(".branch.", regex=False)
        return found[inside] if inside.any() else found


def geometric_mean(values: pd.Series) -> float:
    """0 where a value is."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(values).mean()))


class Instrument:
    """Measures every `every_n_steps` steps.

    In a measured step `begin` is called before the forward pass, `before_update` when the gradients are there
    (unscaled, not clipped), `after_update` when the optimizer has moved the weights. It draws nothing from the
    global generators and leaves parameters, buffers and gradients as they were. `skiplab.layers.watch` hooks a forward
    pass, and isn't called where activations are recomputed.

    metrics: the summary values that `summarise` may give.
    charts: declares the figures, by the names that quantities and, for an 'outcome', metrics bear.

    Args:
        every_n_steps: steps between two measurements, from 1; the first step is measured.

    Raises:
        SkiplabError: where every_n_steps is below 1.
    """

    metrics: ClassVar[dict[str, Metric]] = {}
    charts: ClassVar[dict[str, Chart]] = {}

    def __init__(self, *, every_n_steps: int) -> None:
        if every_n_steps < 1:
            name = type(self).__name__
            raise SkiplabError(f"every_n_steps={every_n_steps} of {name} is invalid; valid: a whole number from 1")
        self.every_n_steps = every_n_steps

    def is_due(self, step: int) -> bool:
        """Whether a step is measured."""
        return step % self.every_n_steps == 0

    def begin(self, network: Network, step: int) -> None: ...

    def before_update(self, loss_scale: float) -> None:
        """`loss_scale`: the factor by which mixed precision has multiplied the gradients of activations."""

    def after_update(self) -> list[Reading]:
        raise NotImplementedError(f"{type(self).__name__} must define after_update()")

    def summarise(self, log: TrainingLog) -> dict[str, float]:
        """Summary values from all that was written down in a trial."""
        return {}
