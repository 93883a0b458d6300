from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from skiplab.blocks.long_skip import LongSkip


class NoLongSkip(LongSkip):
    """No long skip: the decoder reads its own stream alone, y = stream.

    Source: none.
    Differs from the source: none.
    """

    reads_encoder: ClassVar[bool] = False

    def forward(
        self,
        stream: Float[Tensor, "batch width_stream *positions"],
        skip: Float[Tensor, "batch width_skip *positions"],
    ) -> Float[Tensor, "batch width_out *positions"]:
        return stream
