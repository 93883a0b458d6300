from torch import Tensor

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class DecayedIdentity(Connection):
    """A shortcut that fades with depth, x_{l+1} = alpha_l x_l + f(x_l); alpha_l falls linearly from 1 to alpha_min.

    alpha_l = 1 - (1 - alpha_min) l / (L - 1) for the joins l = 0 ... L - 1 of the network; for one join, alpha_0 = 1.

    Source: Zhang et al. 2024, Residual Connections Harm Generative Representation Learning, arXiv:2404.10947, section 3
        (decayed identity shortcuts, linear schedule, from memory). As in its diffusion models, alpha falls from the
        network's first join to its last, through encoder and decoder.
    Differs from the source: alpha_0 = 1, as in the authors' code; the text has 1 - (1 - alpha_min) / L there. The
        source also adds long skips and branches that start at zero, which are separate axes.

    Args:
        alpha_min: factor of the stream at the last join, 0 to 1; 1 is the identity.

    Raises:
        SkiplabError: if alpha_min is outside 0 to 1.
    """

    def __init__(self, spec: JoinSpec, *, alpha_min: float) -> None:
        super().__init__(spec)
        if not 0 <= alpha_min <= 1:
            raise SkiplabError(f"connection.alpha_min={alpha_min} is invalid; valid: a number from 0 to 1")
        self.alpha = 1 - (1 - alpha_min) * spec.index / max(spec.num_joins - 1, 1)

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        return self.alpha * stream + update
