import torch
from torch import Tensor

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class StochasticDepth(Connection):
    """A branch that a whole batch may skip, x_{l+1} = x_l + b_l f(x_l), b_l = 1 with probability p_l, else 0.

    p_l = 1 - (1 - p_L) l / L for the joins l = 1 ... L of the network; in evaluation p_l stands in b_l's place.

    Source: Huang et al. 2016, Deep Networks with Stochastic Depth, arXiv:1603.09382, eq. 2 (training), 4 (linear
        decay) and 5 (evaluation).
    Differs from the source: joins are counted, not blocks; the branch is computed and multiplied by 0, so a drop
        saves no time and its parameters get a gradient of zero; p_l scales what is joined before the activation.

    Args:
        last_survival: p_L, survival probability at the last join, above 0 to 1; 1 is the identity.

    Raises:
        SkiplabError: where last_survival is outside above 0 to 1.
    """

    def __init__(self, spec: JoinSpec, *, last_survival: float) -> None:
        super().__init__(spec)
        if not 0 < last_survival <= 1:
            raise SkiplabError(f"connection.last_survival={last_survival} is invalid; valid: a number above 0, to 1")
        self.survival = 1 - (1 - last_survival) * (spec.index + 1) / spec.num_joins

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        if not self.training:
            return stream + self.survival * update
        # Drawn where the stream is, so that no device is waited for and a captured step draws anew.
        drawn = torch.rand((), device=update.device) < self.survival
        return stream + drawn.to(update.dtype) * update
