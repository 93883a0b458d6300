"""The specifications that networks, branches and joins are built from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from skiplab.blocks.long_skip import LongSkip
from skiplab.blocks.shortcut import Shortcut

if TYPE_CHECKING:  # both are built from a specification
    from skiplab.blocks.branch import Branch
    from skiplab.blocks.connection import Connection


@dataclass(frozen=True, kw_only=True)
class JoinSpec:
    """What a connection is built from: the position and the widths of its join.

    width: channels of the stream at the join.
    index: number of the join in the network, 0 at the input.
    num_joins: number of joins in the network.
    position: number of the join in its stage, from 0. So many updates have been written to the memory before it.
    cond_width: features of the conditioning vector; 0 without conditioning.
    """

    width: int
    index: int
    num_joins: int
    position: int
    cond_width: int


@dataclass(frozen=True, kw_only=True)
class BranchSpec:
    """What a branch is built from.

    width_in: channels of the stream that it reads.
    width_out: channels of its update.
    stride: factor by which it reduces the resolution.
    position_dims: position axes of the stream: 0 for points, 1 for tokens, 2 for images.
    cond_width: features of the conditioning vector; 0 without conditioning.
    norm: builds a normalization for a number of channels.
    activation: builds an activation.
    """

    width_in: int
    width_out: int
    stride: int
    position_dims: int
    cond_width: int
    norm: Callable[[int], nn.Module]
    activation: Callable[[], nn.Module]


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """What a backbone is built from: its size, the shapes of its input and output, and a factory for each axis.

    depth: blocks on the longest path from input to output.
    width: channels at the highest resolution.
    shape: shape of one input, (channels, *sides).
    num_labels: labels that the network is conditioned on; 0 without label conditioning.
    num_logits: classes of a classifier; 0 for a denoiser, whose output has the shape of its input.
    """

    depth: int
    width: int
    shape: tuple[int, ...]
    num_labels: int
    num_logits: int
    connection: "Callable[[JoinSpec], Connection]"
    branch: "Callable[[BranchSpec], Branch]"
    shortcut: Callable[[int, int, int], Shortcut]
    norm: Callable[[int], nn.Module]
    activation: Callable[[], nn.Module]
    long_skip: Callable[[int, int], LongSkip]

    @property
    def channels(self) -> int:
        """Channels of an input."""
        return self.shape[0]

    @property
    def sides(self) -> tuple[int, ...]:
        """Sizes of an input's position axes: two for images, none for points."""
        return self.shape[1:]
