"""Smooth activations with scales and shifts, solved for by conditions on their kernel maps."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from scipy.optimize import root
from torch import Tensor
from torch.nn import functional as F

from skiplab.blocks.kernel_maps import derivatives, mean
from skiplab.blocks.tailored_activation import TailoredActivation
from skiplab.errors import SkiplabError

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": F.silu, "gelu": F.gelu}


class Constants(NamedTuple):
    """The constants of output_scale * (act(input_scale * z + input_shift) + output_shift)."""

    input_scale: float
    input_shift: float
    output_shift: float
    output_scale: float


class TransformedActivation(TailoredActivation):
    """gamma (act(alpha z + beta) + delta), with constants by which Q(1) = Q'(1) = 1 and two conditions more.

    Subclasses state these in `solve`.

    Args:
        function: the activation act, silu or gelu.
    """

    def __init__(self, *, function: str) -> None:
        if function not in _ACTIVATIONS:
            raise SkiplabError(f"activation.function={function} is invalid; valid: {', '.join(_ACTIVATIONS)}")
        super().__init__()
        self.function = function
        self.constants = Constants(1.0, 0.0, 0.0, 1.0)

    def solve(self, num_activations: int) -> Constants:
        """The constants for a network of so many activations."""
        raise NotImplementedError(f"{type(self).__name__} must define solve(num_activations)")

    def tailor(self, num_activations: int) -> None:
        self.constants = self.solve(num_activations)

    def forward(self, z: Tensor) -> Tensor:
        input_scale, input_shift, output_shift, output_scale = self.constants
        return output_scale * (_ACTIVATIONS[self.function](input_scale * z + input_shift) + output_shift)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value:.4g}" for name, value in self.constants._asdict().items())


@cache
def solve_constants(
    function: str, slope_at_1: float, curvature_at_1: float | None = None, tolerance: float = 1e-9
) -> Constants:
    """The constants with Q(1) = Q'(1) = 1 and C'(1) = slope_at_1; and C''(1) as given, or else C(0) = 0.

    Raises:
        SkiplabError: if there are none.
    """
    act = _ACTIVATIONS[function]

    def moved(scale: float, shift: float, shift_after: float | None) -> tuple[list[Tensor], float]:
        values = derivatives(lambda z: act(scale * z + shift), order=2)
        shift_after = -mean(values[1]) if shift_after is None else shift_after
        values[1] = values[1] + shift_after
        return values, shift_after

    def residuals(unknown: tuple[float, ...]) -> list[float]:
        scale, shift, *after = unknown
        (z, f, f1, f2), _ = moved(scale, shift, after[0] if after else None)
        q = mean(f * f)
        found = [mean(f * f1 * z) / q - 1, mean(f1 * f1) / q - slope_at_1]
        return found if curvature_at_1 is None else [*found, mean(f2 * f2) / q - curvature_at_1]

    found = root(residuals, [1.0, 0.0] if curvature_at_1 is None else [1.0, 0.0, 0.0], tol=1e-13)
    if not max(map(abs, residuals(found.x))) < tolerance:
        wanted = f"a C map of slope {slope_at_1:.6g}" + (
            "" if curvature_at_1 is None else f" and curvature {curvature_at_1:.6g}"
        )
        raise SkiplabError(
            f"activation.function={function} can't be transformed to {wanted} at 1; take another depth, or a smaller "
            "activation.zeta or activation.tau"
        )
    scale, shift, *after = map(float, found.x)
    (_, f, _, _), shift_after = moved(scale, shift, after[0] if after else None)
    return Constants(scale, shift, shift_after, 1 / math.sqrt(mean(f * f)))
