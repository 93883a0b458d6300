"""What the blocks of a network are made of, and where one of them stands."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, kw_only=True)
class JoinSpec:
    """Where a join stands: handed to its connection.

    width: channels of the stream at the join.
    index: the join's number, 0 at the input.
    num_joins: joins in the whole network.
    position: joins of its own stage before it, which is how many updates its memory holds when it is read.
    cond_width: features of the conditioning vector, 0 where there is none.
    """

    width: int
    index: int
    num_joins: int
    position: int
    cond_width: int


@dataclass(frozen=True, kw_only=True)
class BranchSpec:
    """What a branch is attached to.

    width_in: channels that it reads.
    width_out: channels of its update.
    stride: its spatial subsampling.
    position_dims: position axes of the stream: 0 for points, 1 for tokens, 2 for images.
    cond_width: features of the conditioning vector, 0 where there is none.
    norm: makes a normalisation for a number of channels.
    activation: makes an activation.
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
    """What every backbone is built from: its size, what goes in and out, and the makers of its parts, one per axis.

    shape: of one input, (channels, *sides).
    num_labels: labels that the network is told, 0 where it is told none.
    num_logits: classes that its output tells apart; 0 for a denoiser, whose output has its input's shape.
    """

    depth: int
    width: int
    shape: tuple[int, ...]
    num_labels: int
    num_logits: int
    connection: Callable[[JoinSpec], nn.Module]
    branch: Callable[[BranchSpec], nn.Module]
    shortcut: Callable[[int, int, int], nn.Module]
    norm: Callable[[int], nn.Module]
    activation: Callable[[], nn.Module]
    long_skip: Callable[[int, int], nn.Module]

    @property
    def channels(self) -> int:
        """Channels of an input."""
        return self.shape[0]

    @property
    def sides(self) -> tuple[int, ...]:
        """Positions along each axis of an input: two for images, none for points."""
        return self.shape[1:]
