"""A linear map over channels, the same at every position."""

from jaxtyping import Float
from torch import Tensor, nn


class ChannelLinear(nn.Linear):
    """y = W x + b at each position: a 1x1 convolution for points, tokens and images alike.

    Shapes: (batch, in_features, *positions) to (batch, out_features, *positions).
    """

    def forward(self, input: Float[Tensor, "batch width_in *positions"]) -> Float[Tensor, "batch width_out *positions"]:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)
