"""What takes the place of a sum: the connection's join of stream and updates, as if it were that sum."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.shortcut import Shortcut
from skiplab.surgery.torch_calls import Sum


@dataclass
class _Parts:
    """The stream and the updates of a sum that is added up in several steps, and what was added up so far."""

    stream: Tensor
    updates: list[Tensor] = field(default_factory=list)
    total: Tensor | None = None


PartsOfSums = dict[int, _Parts]  # by the number of the last addition


def joined_sum(
    join: ForeignJoin, shortcut: Shortcut, number: int, found: Sum, own: Callable[[], Tensor], parts: PartsOfSums
) -> Tensor:
    """The result of one addition of a shortcut.

    The additions before the last only keep their operands. The last is replaced by join(stream, sum of the updates),
    in a new tensor with the shape, type and layout of the sum. The identity connection leaves the addition as it is.

    Args:
        join: its join.
        number: of this addition.
        found: its operands.
        own: makes the network's own addition.
    """
    if join.is_network_sum and not join.is_watched:
        return own()
    if number != shortcut.call:
        _keep(parts, shortcut, number, found)
        total = parts[shortcut.call].total = own()
        return total
    right = found.right if found.alpha == 1 else found.alpha * found.right
    left = found.left if found.target is None else found.left.clone()  # autograd needs the old values
    stream, update = (left, right) if shortcut.stream_first else (right, left)
    if shortcut.earlier:
        kept = parts.pop(number)
        last = right if found.left is kept.total else left
        stream, update = kept.stream, functools.reduce(torch.add, [*kept.updates, last])
    joined = _join(join, shortcut, stream, update)
    if join.is_network_sum:
        return own()
    if found.target is not None:
        return found.target.copy_(joined)
    return _as_sum(joined, left, right, stream, update)


def _keep(parts: PartsOfSums, shortcut: Shortcut, number: int, found: Sum) -> None:
    right = found.right if found.alpha == 1 else found.alpha * found.right
    left = found.left if found.target is None else found.left.clone()
    if number == shortcut.earlier[0]:
        stream, update = (left, right) if shortcut.stream_first else (right, left)
        parts[shortcut.call] = _Parts(stream, [update])
    else:
        kept = parts[shortcut.call]
        kept.updates.append(right if found.left is kept.total else left)


def _join(join: ForeignJoin, shortcut: Shortcut, stream: Tensor, update: Tensor) -> Tensor:
    """join(stream, update), with the channels in the second dimension and both in the shape of the sum."""
    if stream.is_nested or update.is_nested:
        raise SkiplabError(
            f"the {shortcut} adds nested tensors, which connections can't join; build the network without them "
            "(nn.TransformerEncoder: enable_nested_tensor=False)"
        )
    shape = stream.shape
    if shape != update.shape:
        shape = torch.broadcast_shapes(shape, update.shape)
        stream, update = stream.expand(shape), update.expand(shape)
    channels = shortcut.channel_dim
    if len(shape) != len(shortcut.shape) or shape[channels] != shortcut.width:
        raise SkiplabError(
            f"the {shortcut} was found for a stream of shape {shortcut.shape} with {shortcut.width} channels, and "
            f"this stream has the shape {tuple(shape)}; find and replace the shortcuts for such inputs"
        )
    if channels == 1 or not join.needs_channels:
        return join(stream, update)
    if len(shape) == 1:
        return join(stream[None], update[None])[0]
    return join(stream.movedim(channels, 1), update.movedim(channels, 1)).movedim(1, channels)


def _as_sum(joined: Tensor, left: Tensor, right: Tensor, stream: Tensor, update: Tensor) -> Tensor:
    """A new tensor with the type and the layout of left + right, so that what follows works as on the sum."""
    dtype = left.dtype if left.dtype == right.dtype else torch.result_type(left, right)
    strides = left.stride()
    if right.stride() != strides or right.shape != left.shape or not left.is_contiguous():
        strides = _strides_of_sum(left.shape, strides, right.shape, right.stride())
    if joined.stride() == strides and joined.dtype == dtype:
        return joined.clone() if _share_memory(joined, update) or _share_memory(joined, stream) else joined
    return torch.empty_strided(joined.shape, strides, dtype=dtype, device=joined.device).copy_(joined)


def _share_memory(one: Tensor, other: Tensor) -> bool:
    return one is other or torch._C._is_alias_of(one, other)  # pyright: ignore[reportAttributeAccessIssue]


@functools.lru_cache(maxsize=1024)
def _strides_of_sum(
    shape: torch.Size, strides: tuple[int, ...], other_shape: torch.Size, other_strides: tuple[int, ...]
) -> tuple[int, ...]:
    left = torch.empty_strided(shape, strides, device="meta")
    return (left + torch.empty_strided(other_shape, other_strides, device="meta")).stride()
