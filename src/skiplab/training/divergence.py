"""What counts as divergence, judged from the losses of a trial's steps."""

import math
import statistics
from collections import deque
from collections.abc import Iterable
from typing import Any

from skiplab.seeding import keyed_generator
from skiplab.training.components import Components

NUM_LOSSES = 10
NUM_IMAGES = 256  # at most, for estimates of losses
NOT_FINITE = "its loss wasn't a finite number"


class Divergence:
    """Whether training has diverged, judged from the losses of its steps, one after the other.

    With l_t the loss of step t, m_t = median(l_{t-9}, ..., l_t) from step 9 on, and z the zero predictor's loss,
    training has diverged at the first step t at which

        l_t isn't finite   or   m_t > factor * max(z, min(l_0, m_9, ..., m_t)).

    So there are ten losses before a large one can end a trial. A jump from which the network recovers is a spike, and
    a network that merely starts far off has not diverged: its losses are held against the level that it has reached,
    which is the first loss until the medians fall below it. A single low loss is no such level, since the first updates
    of a far-off start may throw the loss up and down. The verdict depends on the losses and their order alone, not on
    how many arrive at once.

    Args:
        zero_loss: the zero predictor's loss z.
        factor: how many times the larger of z and the level reached the median may be, above 0.
    """

    def __init__(self, *, zero_loss: float, factor: float) -> None:
        self.zero_loss, self.factor = zero_loss, factor
        self.step: int | None = None
        self.because: str | None = None
        self._num_seen = 0
        self._level = math.inf
        self._last: deque[float] = deque(maxlen=NUM_LOSSES)

    def see(self, loss: float) -> None:
        """Judge the loss of the next step; what comes after divergence is ignored."""
        if self.step is not None:
            return
        if self._num_seen == 0:
            self._level = loss
        self._last.append(loss)
        self.because = self._why(loss)
        if self.because:
            self.step = self._num_seen
        self._num_seen += 1

    def _why(self, loss: float) -> str | None:
        if not math.isfinite(loss):
            return NOT_FINITE
        if len(self._last) < NUM_LOSSES:
            return None
        median = statistics.median(self._last)
        self._level = min(self._level, median)
        if median <= self.factor * max(self.zero_loss, self._level):
            return None
        return (
            f"its loss exploded: its median over {NUM_LOSSES} steps was {median:.3g}, and the zero predictor's loss is "
            f"{self.zero_loss:.3g}"
        )

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on after the last loss seen, as plain values."""
        seen = {"num_seen": self._num_seen, "level": self._level, "last": list(self._last)}
        return {**seen, "step": self.step, "because": self.because}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self._num_seen, self._level = state["num_seen"], state["level"]
        self._last = deque(state["last"], maxlen=NUM_LOSSES)
        self.step, self.because = state["step"], state["because"]


def zero_loss(components: Components) -> float:
    """The training loss of the zero predictor."""
    images, labels = components.data.train.first(NUM_IMAGES)
    return components.objective.zero_loss(images, labels, keyed_generator(0, "zero loss"))


def divergence_of(components: Components, losses: Iterable[float] = ()) -> Divergence:
    """The judge of a trial that has seen these losses, from the first step's on."""
    divergence = Divergence(zero_loss=zero_loss(components), factor=components.settings.divergence_factor)
    for loss in losses:
        divergence.see(loss)
    return divergence
