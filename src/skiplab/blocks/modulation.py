"""The conditioning of a normalized stream (adaLN)."""

from jaxtyping import Float
from torch import Tensor, nn


class Modulation(nn.Linear):
    """y = x (1 + scale) + shift, with [shift, scale] = W act(c) + b per channel; W = b = 0 at the start.

    Source: Peebles and Xie 2023, Scalable Diffusion Models with Transformers (DiT), arXiv:2212.09748, section 3.2.
    Differs from the source: the gate belongs to the connection (adaln_zero_gate).

    Shapes: x (batch, width, *positions), cond (batch, cond_width).
    """

    def __init__(self, width: int, cond_width: int, activation: nn.Module) -> None:
        super().__init__(cond_width, 2 * width)
        self.activation = activation

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    # It is a linear map by its parameters, and is called with the stream and the conditioning.
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Float[Tensor, "batch width *positions"], cond: Float[Tensor, "batch cond"]
    ) -> Float[Tensor, "batch width *positions"]:
        modulation = super().forward(self.activation(cond))
        shift, scale = modulation.view(*modulation.shape, *[1] * (x.ndim - 2)).chunk(2, dim=1)
        return x * (1 + scale) + shift
