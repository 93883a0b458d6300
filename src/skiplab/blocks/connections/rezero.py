import torch
from torch import Tensor, nn

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec


class ReZero(Connection):
    """A residual connection with one trained scalar, x_{l+1} = x_l + alpha_l f(x_l), alpha_l = 0 at the start.

    Source: Bachlechner et al. 2020, ReZero is All You Need, arXiv:2003.04887, eq. 1 (from memory); SkipInit: De and
        Smith 2020, arXiv:2002.10444, section 3 (from memory).
    Differs from the source: none with initial_alpha 0.

    Args:
        initial_alpha: value of alpha at the start; with 0, every join starts as the identity.
    """

    def __init__(self, spec: JoinSpec, *, initial_alpha: float) -> None:
        super().__init__(spec)
        self.initial_alpha = initial_alpha
        self.alpha = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.alpha, self.initial_alpha)

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        return stream + self.alpha * update
