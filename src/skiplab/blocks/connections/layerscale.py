import torch
from torch import Tensor, nn

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec


class LayerScale(Connection):
    """A residual connection with a trained scale per channel, x_{l+1} = x_l + gamma_l * f(x_l).

    Source: Touvron et al. 2021, Going deeper with Image Transformers, arXiv:2103.17239, eq. 3 (from memory).
    Differs from the source: one initial value at every depth; the source uses 0.1, 1e-5 or 1e-6, depending on depth.

    Args:
        initial_scale: value of every gamma at the start.
    """

    def __init__(self, spec: JoinSpec, *, initial_scale: float) -> None:
        super().__init__(spec)
        self.initial_scale = initial_scale
        self.gamma = nn.Parameter(torch.empty(spec.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.gamma, self.initial_scale)

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        return stream + self.gamma.view(-1, *[1] * (update.ndim - 2)) * update
