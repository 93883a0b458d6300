import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.blocks.long_skip import LongSkip
from skiplab.errors import SkiplabError


class Scaled(LongSkip):
    """Stream and scaled skip concatenated over channels, y = [stream, factor * skip]; the next block reads both.

    Source: Huang et al. 2023, ScaleLong, arXiv:2310.13545 (constant scaling; 1/sqrt2 is the factor of the earlier
        networks that it discusses).
    Differs from the source: one factor for every long skip; the source scales the i-th by kappa^(i-1), i = 1 at the
        highest resolution.

    Args:
        factor: factor of the skip, above 0.

    Raises:
        SkiplabError: if factor isn't above 0.
    """

    def __init__(self, width_stream: int, width_skip: int, *, factor: float) -> None:
        super().__init__(width_stream, width_skip)
        if not factor > 0:
            raise SkiplabError(f"long_skip.factor={factor} is invalid; valid: a number above 0, or long_skip=none")
        self.factor = factor
        self.width_out = width_stream + width_skip

    def forward(
        self,
        stream: Float[Tensor, "batch width_stream *positions"],
        skip: Float[Tensor, "batch width_skip *positions"],
    ) -> Float[Tensor, "batch width_out *positions"]:
        return torch.cat([stream, self.factor * skip], dim=1)
