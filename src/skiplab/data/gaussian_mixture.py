import math

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.data.dataset import Dataset
from skiplab.data.mixture import Mixture
from skiplab.errors import SkiplabError


class GaussianMixture(Dataset):
    """Points of the plane from equally likely Gaussians, x0 = m_k + spread * noise, on a ring or on a grid.

    Ring: m_k = extent (cos 2 pi k / K, sin 2 pi k / K). Grid: sqrt(K) x sqrt(K) points of [-extent, extent]^2,
    row by row. The optimal denoiser is known in closed form (see `Mixture`). The modes lie within [-1, 1]; points may
    lie beyond, and aren't clipped, since clipped points would have no closed form.

    Source: the ring and the grid of Metz et al. 2016, Unrolled GANs, arXiv:1611.02163, and later work on lost modes.
    Differs from the source: scaled to [-1, 1].

    Shapes: points (sample, 2), labels (sample,): the mode.

    Args:
        layout: ring or grid.
        num_modes: K, from 1; a square number, from 4, on a grid.
        extent: radius of the ring, half the side of the grid, above 0, to 1.
        spread: standard deviation of a mode in each direction, above 0.
        num_train: training points, from 1.
        num_val: validation points, from 1.
        seed: of the points; the same for every trial of a study.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    def __init__(
        self,
        *,
        layout: str,
        num_modes: int,
        extent: float,
        spread: float,
        num_train: int,
        num_val: int,
        seed: int,
    ) -> None:
        for name, value in (("num_modes", num_modes), ("num_train", num_train), ("num_val", num_val)):
            if value < 1:
                raise SkiplabError(f"data.{name}={value} is invalid; valid: from 1")
        if not 0 < extent <= 1:
            raise SkiplabError(f"data.extent={extent} is invalid; valid: above 0, to 1")
        if not spread > 0:
            raise SkiplabError(f"data.spread={spread} is invalid; valid: above 0")
        self.num_classes = num_modes
        self.mixture = Mixture(
            means=extent * _layout(layout, num_modes),
            spreads=torch.full((num_modes,), spread),
            axes=torch.zeros(num_modes, 2, 0),
            variances=torch.zeros(num_modes, 0),
        )
        self.exact_denoiser = self.mixture.exact_denoiser
        generator = torch.Generator().manual_seed(seed)
        self.train = self.mixture.draw(num_train, (2,), generator)
        self.val = self.mixture.draw(num_val, (2,), generator)


def _layout(layout: str, num_modes: int) -> Float[Tensor, "mode 2"]:
    """Where the modes lie, for an extent of 1."""
    if layout == "ring":
        angles = 2 * math.pi * torch.arange(num_modes, dtype=torch.float64) / num_modes
        return torch.stack([angles.cos(), angles.sin()], dim=1)
    if layout != "grid":
        raise SkiplabError(f"data.layout={layout} is invalid; valid: ring, grid")
    side = math.isqrt(num_modes)
    if side < 2 or side**2 != num_modes:
        raise SkiplabError(f"data.num_modes={num_modes} is invalid; valid on a grid: 4, 9, 16, 25, ...")
    line = torch.linspace(-1, 1, side, dtype=torch.float64)
    return torch.cartesian_prod(line, line).flip(1)
