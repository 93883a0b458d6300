"""The contract of a shortcut."""

from collections.abc import Callable

from skiplab.blocks.shortcut import Shortcut
from skiplab.testing.rules import BATCH, check_initialization, check_passes, draw, named, require

_POSITIONS = {"images": (6, 6), "tokens": (6,), "points": ()}
# width_in, width_out, stride
_CHANGES = ((6, 8, 1), (8, 6, 1), (6, 8, 2), (6, 6, 2))


def check_shortcut(make: Callable[[int, int, int], Shortcut]) -> None:
    """Check the contract of a shortcut, with a growing and a shrinking width and with a change of resolution.

    The output has `width_out` channels at 1 / stride of the resolution, and is finite and deterministic. Its input
    isn't overwritten. Gradients reach its input and every parameter. Initial weights depend on (seed, path) alone.

    Args:
        make: builds the shortcut for width_in, width_out and stride, such as the class.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    for width_in, width_out, stride in _CHANGES:
        for kind, positions in _POSITIONS.items():
            with named(f"on {kind}, width_in={width_in}, width_out={width_out}, stride={stride}"):
                shortcut = make(width_in, width_out, stride)
                require(isinstance(shortcut, Shortcut), f"{type(shortcut).__name__} is not a subclass of Shortcut")
                expected = (BATCH, width_out, *(side // stride for side in positions))
                check_passes(shortcut, [draw("input", BATCH, width_in, *positions)], expected=expected)
                check_initialization(lambda change=(width_in, width_out, stride): make(*change))
