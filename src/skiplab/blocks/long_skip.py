"""The interface of a long skip: how a decoder reads the output of the encoder."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class LongSkip(nn.Module):
    """Passes the output of an encoder stage on to the decoder stage of the same resolution.

    reads_encoder: whether the decoder reads anything of the encoder.
    width_out: channels of the result, which the decoder stage reads.

    Shapes: stream (batch, width_stream, *positions), skip (batch, width_skip, *positions) to
    (batch, width_out, *positions).
    """

    reads_encoder: ClassVar[bool] = True

    def __init__(self, width_stream: int, width_skip: int) -> None:
        super().__init__()
        self.width_out = width_stream

    def forward(
        self,
        stream: Float[Tensor, "batch width_stream *positions"],
        skip: Float[Tensor, "batch width_skip *positions"],
    ) -> Float[Tensor, "batch width_out *positions"]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(stream, skip)")
