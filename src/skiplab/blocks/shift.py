"""The conditioning of a convolution's output: one added term per channel."""

from jaxtyping import Float
from torch import Tensor, nn


class Shift(nn.Linear):
    """y = x + W act(c) + b per channel, the same at every position.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, appendix B.
    Differs from the source: none.

    Shapes: x (batch, width, *positions), cond (batch, cond_width).
    """

    def __init__(self, width: int, cond_width: int, activation: nn.Module) -> None:
        super().__init__(cond_width, width)
        self.activation = activation

    # It is a linear map by its parameters, and is called with the stream and the conditioning.
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Float[Tensor, "batch width *positions"], cond: Float[Tensor, "batch cond"]
    ) -> Float[Tensor, "batch width *positions"]:
        shift = super().forward(self.activation(cond))
        return x + shift.view(*shift.shape, *[1] * (x.ndim - 2))
