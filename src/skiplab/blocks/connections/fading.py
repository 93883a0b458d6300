import torch
from torch import Tensor

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class Fading(Connection):
    """A shortcut that fades during training, x_{l+1} = s x_l + f(x_l), s from 1 at `start` to 0 at `end`.

    s = 1 until the fraction `start` of training is over, (end - fraction) / (end - start) up to `end`, and 0 from then
    on: the network begins as a residual one and ends as a plain one. All joins have the same s. It is kept with the
    weights, and averaged with them where weights are. A trial tells it how far training is; a loop of one's own calls
    `skiplab.set_progress(model, fraction)` before each step. Until then s = 1.

    Source: Zagoruyko and Komodakis 2017, DiracNets, arXiv:1706.00388, trains networks without shortcuts by another way
        (from memory); shortcuts that a schedule takes away: of our own.
    Differs from the source: the shortcut itself fades, by a schedule.

    Args:
        start: the fraction of training at which it begins to fade, from 0.
        end: the fraction at which nothing of it is left, above `start`, to 1.

    Raises:
        SkiplabError: unless 0 <= start < end <= 1.
    """

    strength: Tensor

    def __init__(self, spec: JoinSpec, *, start: float, end: float) -> None:
        super().__init__(spec)
        if not 0 <= end <= 1:
            raise SkiplabError(f"connection.end={end} is invalid; valid: numbers from 0 to 1")
        if not 0 <= start < end:
            raise SkiplabError(
                f"connection.start={start} is invalid; valid: numbers from 0 to 1, the start below the end, {end}"
            )
        self.start, self.end = start, end
        self.register_buffer("strength", torch.ones(()))

    def set_progress(self, fraction: float) -> None:
        left = (self.end - fraction) / (self.end - self.start)
        self.strength.fill_(min(1.0, max(0.0, left)))

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        return self.strength * stream + update
