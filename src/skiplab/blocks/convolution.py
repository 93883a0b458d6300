"""The convolution of a branch, padded so that a stride of 1 keeps height and width."""

from torch import nn

from skiplab.errors import SkiplabError


def convolution(
    width_in: int, width_out: int, kernel_size: int, *, stride: int = 1, groups: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution with zero padding.

    Raises:
        SkiplabError: if kernel_size isn't an odd number from 1.
    """
    if not isinstance(kernel_size, int) or kernel_size < 1 or kernel_size % 2 == 0:
        raise SkiplabError(f"branch.kernel_size={kernel_size} is invalid; valid: an odd whole number from 1")
    return nn.Conv2d(width_in, width_out, kernel_size, stride, kernel_size // 2, groups=groups, bias=bias)
