from torch import Tensor
from torch.nn import functional as F

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class DropoutShortcut(Connection):
    """Dropout on the shortcut, x_{l+1} = dropout(x_l) + f(x_l); the identity in evaluation.

    Source: He et al. 2016, Identity Mappings, arXiv:1603.05027, section 3.1, 'dropout shortcut' and Table 1.
    Differs from the source: none; what is kept is divided by 1 - ratio in training.

    Args:
        ratio: share of the stream's entries that are dropped, from 0 to below 1.

    Raises:
        SkiplabError: where ratio is outside 0 to below 1.
    """

    def __init__(self, spec: JoinSpec, *, ratio: float) -> None:
        super().__init__(spec)
        if not 0 <= ratio < 1:
            raise SkiplabError(f"connection.ratio={ratio} is invalid; valid: a number from 0 to below 1")
        self.ratio = ratio

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        return F.dropout(stream, self.ratio, self.training) + update
