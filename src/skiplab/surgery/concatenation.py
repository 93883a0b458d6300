"""What a concatenation puts beside each other."""

from skiplab.surgery.ancestry import chain
from skiplab.surgery.merge import Merge
from skiplab.surgery.value import Value


def is_part(stream: Value, fork: Value, merge: Merge) -> bool:
    """Whether a stream that is concatenated was split off what is made whole again, as halves of a coupling are."""
    grown = [dim for dim, (a, b) in enumerate(zip(merge.result.shape, stream.shape, strict=False)) if a != b]
    for value in chain(stream):
        for parent in value.parents:
            same = value.region.memory == parent.region.memory and len(value.shape) == len(parent.shape)
            whole = [dim for dim in grown if same and merge.result.shape[dim] <= parent.shape[dim]]
            if any(value.shape[dim] < parent.shape[dim] for dim in whole):
                return True
        if value is fork:
            break
    return False


def is_along_channels(merge: Merge) -> bool:
    """Whether a concatenation adds channels, not positions."""
    result, first = merge.result, merge.operands[0]
    if len(result.shape) != len(first.shape):
        return False
    grown = [dim for dim, (one, other) in enumerate(zip(result.shape, first.shape, strict=True)) if one != other]
    return not grown or result.channel is None or grown == [result.channel]
