"""Maps between images and grids of patches."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.errors import SkiplabError


def grid(sides: tuple[int, ...], patch_size: int) -> tuple[int, int]:
    """Rows and columns of patches.

    Raises:
        SkiplabError: if patch_size doesn't divide both sides of the image.
    """
    if patch_size < 1 or any(side % patch_size for side in sides):
        common = math.gcd(*sides)
        divisors = [n for n in range(1, common + 1) if common % n == 0]
        raise SkiplabError(
            f"backbone.patch_size={patch_size} doesn't divide images of {sides}; valid: {', '.join(map(str, divisors))}"
        )
    rows, columns = (side // patch_size for side in sides)
    return rows, columns


class Patchify(nn.Conv2d):
    """A linear map of each patch.

    Source: Dosovitskiy et al. 2021, ViT, arXiv:2010.11929, eq. 1 (from memory). Differs from the source: none.
    """

    def __init__(self, channels: int, width: int, patch_size: int) -> None:
        super().__init__(channels, width, kernel_size=patch_size, stride=patch_size)


class Unpatchify(nn.Module):
    """A linear map of each position to the pixels of its patch.

    Source: Peebles and Xie 2023, DiT, arXiv:2212.09748, section 3.2, 'transformer decoder'.
    Differs from the source: no predicted variance.
    """

    def __init__(self, width: int, channels: int, patch_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, channels * patch_size**2, kernel_size=1)
        self.shuffle = nn.PixelShuffle(patch_size)

    def forward(
        self, x: Float[Tensor, "batch width rows columns"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        return self.shuffle(self.conv(x))


def sinusoidal_positions(width: int, rows: int, columns: int) -> Float[Tensor, "width rows columns"]:
    """Sines and cosines of the row in one half of the channels, of the column in the other; fixed.

    Source: Peebles and Xie 2023, DiT, arXiv:2212.09748, section 3.2 (ViT's frequencies, 10,000^(-2i/d)).
    Differs from the source: zeros fill the width up if 4 doesn't divide it.
    """
    quarter = width // 4
    frequencies = 10_000.0 ** (-torch.arange(quarter) / max(quarter, 1))
    by_row = torch.arange(rows)[None, :, None] * frequencies[:, None, None]
    by_column = torch.arange(columns)[None, None, :] * frequencies[:, None, None]
    waves = [wave(angle) for angle in (by_row, by_column) for wave in (torch.sin, torch.cos)]
    codes = torch.cat([wave.expand(quarter, rows, columns) for wave in waves])
    return torch.cat([codes, torch.zeros(width - 4 * quarter, rows, columns)])
