import math

from torch import Tensor

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class MPSum(Connection):
    """A sum that preserves magnitude, x_{l+1} = ((1 - t) x_l + t f(x_l)) / sqrt((1 - t)^2 + t^2).

    Two independent terms of unit variance give unit variance.

    Source: Karras et al. 2024, Analyzing and Improving the Training Dynamics of Diffusion Models (EDM2),
        arXiv:2312.02696, eq. 88; t = 0.3 in its residual blocks.
    Differs from the source: the branch's own magnitude is left to `branch` and `norm`; the source also normalises
        weights and activations.

    Args:
        update_weight: t, weight of the update, above 0 to 1; 1 is plain, 0.5 is `scaled_rsqrt2`.

    Raises:
        SkiplabError: where update_weight is outside above 0 to 1.
    """

    def __init__(self, spec: JoinSpec, *, update_weight: float) -> None:
        super().__init__(spec)
        if not 0 < update_weight <= 1:
            raise SkiplabError(f"connection.update_weight={update_weight} is invalid; valid: a number above 0, to 1")
        magnitude = math.hypot(1 - update_weight, update_weight)
        self.stream_factor = (1 - update_weight) / magnitude
        self.update_factor = update_weight / magnitude

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        return self.stream_factor * stream + self.update_factor * update
