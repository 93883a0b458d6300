"""A join in a network that isn't built from skiplab's blocks."""

from collections.abc import Sequence
from typing import Any, TypedDict

from torch import Tensor, nn

from skiplab.blocks.block import Join
from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.connections.fading import Fading
from skiplab.blocks.connections.identity import Identity
from skiplab.blocks.connections.plain import Plain
from skiplab.blocks.connections.rezero import ReZero
from skiplab.blocks.connections.scaled import Scaled
from skiplab.errors import SkiplabError

_ELEMENTWISE = (Fading, Identity, Plain, ReZero, Scaled)  # it doesn't matter which dimension has the channels


class Recipe(TypedDict):
    """How a connection is made again: the import path of its class, and its settings."""

    target: str
    settings: dict[str, Any]


class ForeignJoin(Join):
    """A connection that replaces an addition; the branch remains in the network, and the join gets its update.

    Args:
        connection: the connection of the join.
        block_index: number of the join in the network; each such join counts as one block.
        branch_modules: the modules that compute the update; they belong to the network and aren't registered here.

    recipe: how its connection is made again; None if only a function of someone's own knows.
    """

    recipe: Recipe | None = None

    def __init__(self, connection: Connection, block_index: int, branch_modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.connection, self.block_index = connection, block_index
        self._branch_modules = tuple(branch_modules)
        self._is_identity = type(connection) is Identity
        self._is_elementwise = type(connection) in _ELEMENTWISE

    @property
    def is_network_sum(self) -> bool:
        """Whether it is the sum that it replaces, so that the network may add as it does, bit for bit."""
        return self._is_identity and "forward" not in vars(self)

    @property
    def needs_channels(self) -> bool:
        """Whether the channels must be in the second dimension."""
        return not self._is_elementwise or self.is_watched or "forward" in vars(self)

    @property
    def is_watched(self) -> bool:
        """Whether something wants to see its inputs or its output."""
        return bool(self._forward_hooks or self._forward_pre_hooks)

    def block_parameters(self) -> list[nn.Parameter]:
        own = {parameter: None for module in (*self._branch_modules, self) for parameter in module.parameters()}
        return list(own)

    def forward(self, stream: Stream, update: Tensor) -> Stream:
        try:
            return self.connection.join(stream, update, None)
        except RuntimeError as error:
            if stream.is_meta or not any(each.is_meta for each in self.parameters()):
                raise
            raise SkiplabError(
                f"the parameters of {type(self.connection).__name__} are offloaded, and nothing loads them for a join; "
                "offload the model with preload_module_classes=['ForeignJoin']"
            ) from error


def joins_of(model: nn.Module) -> list[ForeignJoin]:
    """The joins that replace a model's additions, in the order in which they were numbered."""
    joins = [module for module in model.modules() if isinstance(module, ForeignJoin)]
    return sorted(joins, key=lambda join: join.block_index)
