"""The interface of an instrument: it measures training steps without changing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from skiplab.charts import Chart
from skiplab.data.dataset import Split
from skiplab.errors import SkiplabError
from skiplab.layers import Block, IndexedJoin, Layer, Network
from skiplab.metrics import Metric
from skiplab.objectives.objective import Objective

if TYPE_CHECKING:
    import pandas as pd  # training needs it only at its end

Place = Layer | Block | IndexedJoin


@dataclass(frozen=True)
class Reading:
    """One quantity at several places of the network in one step.

    quantity: its name; `quantity.line` for one of several lines of the chart `quantity`.
    values: float64 scalars, one per place, still on the training device.
    """

    quantity: str
    places: Sequence[Place]
    values: Sequence[Tensor]


@dataclass(frozen=True)
class TrainingLog:
    """Everything recorded while a trial trained.

    readings: the instruments' readings, with columns step, index, path, quantity, value.
    losses: the loss of each step, indexed by step, up to divergence.
    diverged: whether training diverged.
    num_skipped: steps whose update was skipped because a scaled gradient overflowed in mixed precision; None where it
        isn't known.
    zero_loss: the zero predictor's loss; None where it isn't known, as in a loop of the user's own.
    max_steps: the planned number of steps.
    batch_size: samples per step; None where it isn't known.
    """

    readings: "pd.DataFrame"
    losses: "pd.Series"
    diverged: bool
    num_skipped: int | None
    zero_loss: float | None
    max_steps: int
    batch_size: int | None

    def of(self, quantity: str) -> "pd.Series":
        """All values of a quantity."""
        return cast("pd.Series", self.readings.loc[self.readings["quantity"] == quantity, "value"])

    def inside_blocks(self, quantity: str) -> "pd.Series":
        """A quantity's values in the layers of branches, or in all layers if the network isn't made of blocks."""
        found, inside = self.of(quantity), self.readings["path"].str.contains(".branch.", regex=False)
        return cast("pd.Series", found[inside]) if inside.any() else found


def geometric_mean(values: "pd.Series") -> float:
    """The geometric mean; 0 if a value is 0."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(values).mean()))


class Instrument:
    """Measures every `every_n_steps` steps.

    `prepare` is called before training. In a measured step, `begin` is called before the forward pass, `before_update`
    when the gradients are available (unscaled, not clipped), and `after_update` after the optimizer's step. An
    instrument draws nothing from the global generators and leaves parameters, buffers and gradients unchanged. To hook
    a forward pass, use `skiplab.layers.watch` or `watch_tensors`, which ignore recomputed activations, and add the
    handles to `hooks`; `before_update` removes them by `release`.

    needs_trial: whether it needs what only a trial of skiplab has, an objective, its data or its noise levels.
    metrics: the summary values that `summarize` may return, by name.
    charts: the figures. A chart has the name of its quantity; an 'outcome' chart has the name of its metric.

    Args:
        every_n_steps: steps between two measurements, from 1; the first step is measured.

    Raises:
        SkiplabError: if every_n_steps is below 1.
    """

    needs_trial: ClassVar[bool] = False
    metrics: ClassVar[dict[str, Metric]] = {}
    charts: ClassVar[dict[str, Chart]] = {}
    hooks: Sequence[RemovableHandle] = ()  # of the step that is being measured

    def __init__(self, *, every_n_steps: int) -> None:
        if every_n_steps < 1:
            name = type(self).__name__
            raise SkiplabError(f"every_n_steps={every_n_steps} of {name} is invalid; valid: a whole number from 1")
        self.every_n_steps = every_n_steps

    def is_due(self, step: int) -> bool:
        """Whether to measure a step."""
        return step % self.every_n_steps == 0

    def check(self, network: Network) -> None:
        """Refuse a network that it can't measure.

        Raises:
            SkiplabError: names what the network lacks.
        """

    def release(self) -> None:
        """Remove the hooks of the step; also called for a step without an update, which isn't measured."""
        for hook in self.hooks:
            hook.remove()
        self.hooks = ()

    def prepare(self, network: Network, objective: Objective[Any], split: Split) -> None:
        """Called before training starts or is resumed, with what the network is trained to do and the training split.

        What it draws must depend on its own key alone (`skiplab.seeding`), so that a resumed trial measures the same.
        """

    def begin(self, network: Network, step: int) -> None:
        """Called before the forward pass of a measured step."""

    def before_update(self, loss_scale: float) -> None:
        """Called when the gradients are available.

        loss_scale: the factor by which mixed precision multiplied the gradients of activations.
        """

    def after_update(self) -> list[Reading]:
        """Called after the optimizer's step; the step's readings."""
        raise NotImplementedError(f"{type(self).__name__} must define after_update()")

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        """The summary values of a trial."""
        return {}
