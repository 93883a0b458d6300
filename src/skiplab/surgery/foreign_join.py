"""A join in a network that isn't built from skiplab's blocks."""

from collections.abc import Sequence

from torch import Tensor, nn

from skiplab.blocks.block import Join
from skiplab.blocks.connection import Connection, Stream


class ForeignJoin(Join):
    """A connection in the place of an addition: of the branch, only the update is seen.

    Args:
        connection: of its place.
        block_index: its number among the network's joins, which are taken for a block each.
        branch_modules: what makes the update; they stay where they are, and aren't registered here.
    """

    def __init__(self, connection: Connection, block_index: int, branch_modules: Sequence[nn.Module]) -> None:
        nn.Module.__init__(self)
        self.connection, self.block_index = connection, block_index
        self._branch_modules = tuple(branch_modules)

    def block_parameters(self) -> list[nn.Parameter]:
        own = {parameter: None for module in (*self._branch_modules, self) for parameter in module.parameters()}
        return list(own)

    def forward(self, memory: Stream, update: Tensor) -> Stream:
        return self.connection.write(memory, update, None, nn.Identity())
