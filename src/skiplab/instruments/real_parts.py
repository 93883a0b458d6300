"""Complex tensors as tensors of real numbers, for norms, sums and products."""

import torch
from torch import Tensor


def real_parts(tensor: Tensor) -> Tensor:
    """The tensor, or the real and imaginary parts of a complex one in a last dimension of their own."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
