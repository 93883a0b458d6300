"""Where the dimension of the channels goes as a value is computed from another."""

from skiplab.surgery.value import Value

# Functions of results with as many dimensions, whose dimensions have another meaning.
_TURNING = frozenset(("mm", "bmm", "_fft_c2c"))


def same_channel(parent: Value, result: Value) -> int | None:
    """The dimension of a result's channels, if they are the channels of this parent; None if that can't be told.

    A view keeps the stride of the dimension. A function that computes new elements keeps the dimension.
    """
    dim = parent.channel
    if dim is None:
        return None
    if result.region.memory == parent.region.memory and result.region.strides:
        size, stride = parent.shape[dim], parent.region.strides[dim]
        same = [at for at, own in enumerate(result.region.strides) if own == stride and result.shape[at] == size]
        if len(same) > 1 and dim in same:
            return dim
        return same[0] if same else None
    if result.name in _TURNING:
        return None
    if len(result.shape) == len(parent.shape):
        return dim
    if result.name in ("mean", "sum", "amax", "stack") or len(result.shape) < len(parent.shape):
        return None
    return dim + len(result.shape) - len(parent.shape)  # broadcast from the right
