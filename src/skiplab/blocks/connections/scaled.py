from torch import Tensor

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec


class Scaled(Connection):
    """A weighted sum with constant factors, x_{l+1} = stream_factor x_l + update_factor f(x_l).

    Source: He et al. 2016, Identity Mappings, arXiv:1603.05027, eq. 6; with a factor of the update, section 3.1 (0.5
        and 0.5 is a 'constant scaling' row of its Table 1); 1/sqrt2 for both: Song et al. 2020, arXiv:2011.13456,
        appendix H (from memory).
    Differs from the source: none.

    Args:
        stream_factor: factor of the stream, any real number.
        update_factor: factor of the update, any real number.
    """

    def __init__(self, spec: JoinSpec, *, stream_factor: float, update_factor: float) -> None:
        super().__init__(spec)
        self.stream_factor, self.update_factor = stream_factor, update_factor

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        return self.stream_factor * stream + self.update_factor * update
