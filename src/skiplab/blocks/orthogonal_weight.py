"""Orthogonal weights of linear maps and convolutions."""

import torch
from torch import Tensor, nn


def orthogonal_weight(weight: Tensor, stride: tuple[int, ...], gain: float) -> Tensor:
    """A weight of the same shape, drawn from the global generator, whose map preserves lengths (times `gain`).

    For a linear map, the weight is semi-orthogonal. For a convolution, such a matrix is at the center of the kernel,
    with zeros around it, so that the layer preserves the length of every image, borders included. If the kernels don't
    overlap (patches), each patch is mapped as one vector.
    """
    kernel = weight.shape[2:]
    result = torch.zeros_like(weight)
    if not kernel or tuple(kernel) == tuple(stride):
        nn.init.orthogonal_(result.flatten(1), gain)  # a view, which fills result
    else:
        center = torch.empty(weight.shape[:2])
        nn.init.orthogonal_(center, gain)
        result[(..., *(side // 2 for side in kernel))] = center
    return result
