"""Orthogonal weights of linear maps and convolutions."""

import torch
from torch import Tensor, nn


def orthogonal_weight(weight: Tensor, stride: tuple[int, ...], gain: float) -> Tensor:
    """A weight of the same shape, drawn from the global generator, whose map keeps lengths (times `gain`).

    A linear map's is semi-orthogonal. A convolution's is one at the centre of the kernel and zero around it, so that
    the layer keeps the length of every image, borders included; where kernels don't overlap (patches), all of a patch
    is mapped as one vector.
    """
    kernel = weight.shape[2:]
    result = torch.zeros_like(weight)
    if not kernel or tuple(kernel) == tuple(stride):
        nn.init.orthogonal_(result.flatten(1), gain)  # a view, of which result is the memory
    else:
        centre = torch.empty(weight.shape[:2])
        nn.init.orthogonal_(centre, gain)
        result[(..., *(side // 2 for side in kernel))] = centre
    return result
