"""Convolutions that change the resolution between the stages of a U-Net; no arm has a shortcut around them."""

from jaxtyping import Float
from torch import Tensor, nn


class Downsample(nn.Conv2d):
    """Halves height and width by a 3x3 convolution of stride 2.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, appendix B. Differs from the source: none.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width, kernel_size=3, stride=2, padding=1)


class Upsample(nn.Module):
    """Doubles height and width by nearest-neighbor interpolation, then a 3x3 convolution.

    It is implemented by expand and reshape, whose gradient is deterministic on every device.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, appendix B.
    Differs from the source: the convolution may change the width.
    """

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out, kernel_size=3, padding=1)

    def forward(
        self, x: Float[Tensor, "batch width_in height width"]
    ) -> Float[Tensor, "batch width_out out_height out_width"]:
        batch, channels, height, width = x.shape
        x = x[:, :, :, None, :, None].expand(batch, channels, height, 2, width, 2)
        return self.conv(x.reshape(batch, channels, 2 * height, 2 * width))
