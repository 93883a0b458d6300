import math
from functools import cache

from torch import Tensor
from torch.nn import functional as F

from skiplab.blocks.tailored_activation import TailoredActivation
from skiplab.errors import SkiplabError


class TailoredReLU(TailoredActivation):
    """sqrt(2 / (1 + s^2)) max(z, s z), with the slope s at which the network's C map at 0 is eta.

    The factor preserves variances. Two orthogonal inputs have the cosine eta at the last of L activations, C_L(0) =
    eta, where the cosine c becomes C(c) = c + (1 - s)^2 (sqrt(1 - c^2) - c arccos(c)) / (pi (1 + s^2)) at each. If
    ReLU itself stays below eta, which happens in shallow networks, s = 0.

    It is meant for norm=none with init=delta_orthogonal, or with init=orthogonal init.gain=1. L is exact in a plain
    network; a residual network gets the same slope, and keeps its inputs further apart.

    Source: Zhang, Botev and Martens 2022, Deep Learning without Shortcuts (TAT), arXiv:2203.08120 (conditions and
        eta = 0.9: the authors' code, github.com/google-deepmind/dks).
    Differs from the source: s = 0 where eta can't be reached; L is that of the plain network even with shortcuts.

    Args:
        eta: the largest cosine of two orthogonal inputs after the last activation, above 0 and below 1.

    Raises:
        SkiplabError: if eta is out of range.
    """

    def __init__(self, *, eta: float) -> None:
        if not 0 < eta < 1:
            raise SkiplabError(f"activation.eta={eta} is invalid; valid: a number above 0 and below 1")
        super().__init__()
        self.eta = eta
        self.slope = 0.0

    def tailor(self, num_activations: int) -> None:
        self.slope = slope_of(num_activations, self.eta)

    def forward(self, z: Tensor) -> Tensor:
        return math.sqrt(2 / (1 + self.slope**2)) * F.leaky_relu(z, self.slope)

    def extra_repr(self) -> str:
        return f"slope={self.slope:.4g}"


def cosine_after(cosine: float, slope: float, num_activations: int) -> float:
    """The cosine of two inputs after so many leaky rectifiers."""
    share = (1 - slope) ** 2 / (math.pi * (1 + slope**2))
    for _ in range(num_activations):
        cosine += share * (math.sqrt(max(1 - cosine**2, 0)) - cosine * math.acos(min(cosine, 1)))
    return cosine


@cache
def slope_of(num_activations: int, eta: float) -> float:
    """The slope at which orthogonal inputs reach the cosine eta, by bisection; 0 if ReLU doesn't exceed eta."""
    low, high = 0.0, 1.0  # the cosine falls from ReLU's to 0
    if cosine_after(0.0, low, num_activations) <= eta:
        return low
    while (middle := (low + high) / 2) not in (low, high):
        if cosine_after(0.0, middle, num_activations) > eta:
            low = middle
        else:
            high = middle
    return high
