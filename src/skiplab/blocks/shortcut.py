"""The interface of a shortcut: how the stream crosses a change of width or resolution."""

from jaxtyping import Float
from torch import Tensor, nn


class Shortcut(nn.Module):
    """Maps the stream of one stage to the width and resolution of the next stage.

    Shapes: (batch, width_in, *positions) to (batch, width_out, *positions / stride).
    """

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.width_in, self.width_out, self.stride = width_in, width_out, stride

    def subsample(self, x: Float[Tensor, "batch width_in *positions"]) -> Float[Tensor, "batch width_in *outputs"]:
        """Every `stride`-th position along each axis."""
        return x[(..., *([slice(None, None, self.stride)] * (x.ndim - 2)))] if self.stride > 1 else x

    def forward(self, x: Float[Tensor, "batch width_in *positions"]) -> Float[Tensor, "batch width_out *outputs"]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(x)")
