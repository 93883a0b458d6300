from jaxtyping import Float
from torch import Tensor

from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.shortcut import Shortcut


class Projection(Shortcut):
    """A 1x1 convolution of stride `stride`, y = W x + b; if the width stays, it only subsamples positions.

    Only residual networks use its parameters, so a plain network with equal parameters is impossible and refused.

    Source: He et al. 2015, Deep Residual Learning, arXiv:1512.03385, section 3.3, option B; with the bias, Ho et
        al. 2020, DDPM, arXiv:2006.11239 ('nin_shortcut').
    Differs from the source: no norm after it; the first source has a BatchNorm.
    """

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__(width_in, width_out, stride)
        if width_in != width_out:
            self.linear = ChannelLinear(width_in, width_out)

    def forward(self, x: Float[Tensor, "batch width_in *positions"]) -> Float[Tensor, "batch width_out *outputs"]:
        x = self.subsample(x)
        return self.linear(x) if self.width_in != self.width_out else x
