import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.blocks.long_skip import LongSkip


class Concat(LongSkip):
    """Stream and skip concatenated over channels, y = [stream, skip]; the next block reads both.

    Source: Ronneberger et al. 2015, U-Net, arXiv:1505.04597, section 2 (from memory).
    Differs from the source: one long skip per resolution, without cropping.
    """

    def __init__(self, width_stream: int, width_skip: int) -> None:
        super().__init__(width_stream, width_skip)
        self.width_out = width_stream + width_skip

    def forward(
        self,
        stream: Float[Tensor, "batch width_stream *positions"],
        skip: Float[Tensor, "batch width_skip *positions"],
    ) -> Float[Tensor, "batch width_out *positions"]:
        return torch.cat([stream, skip], dim=1)
