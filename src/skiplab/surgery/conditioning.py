"""Embeddings of inputs that a network is told by adding them to the stream of another input."""

from collections.abc import Sequence

from skiplab.surgery.ancestry import chain
from skiplab.surgery.merge import Merge
from skiplab.surgery.reading import Reading
from skiplab.surgery.value import Value


class Conditioning:
    """What a network was told so far, in one pass through its merges.

    Args:
        input_sizes: number of elements of each input of the model.
    """

    def __init__(self, input_sizes: Sequence[int]) -> None:
        self._input_sizes = input_sizes
        self._embeddings: set[Value] = set()  # where they were added first
        self._inputs = 0  # those that reach the network as embeddings that are added

    def add_learned(self, *operands: Value) -> None:
        """Note the embeddings that are made of parameters alone, such as positions, among the operands of a sum."""
        self._embeddings.update(list(chain(each))[-1] for each in operands if not each.carries)

    def is_embedding(self, stream: Value, update: Value, merge: Merge) -> bool:
        """Whether what has the form of a stream is an embedding that is added once more."""
        if any(each in self._embeddings for each in chain(stream)):
            return True
        only_told = bool(stream.carries) and not self._carries_more(stream)
        return only_told and stream.size < merge.result.size and self._carries_more(update)

    def is_told(self, one: Value, other: Value, merge: Merge) -> bool:
        """Whether one operand is an embedding that the other is told."""
        if not self._carries_more(one) and self._carries_more(other):
            return True
        return one.size < merge.result.size == other.size and bool(other.carries & ~one.carries)

    def read(self, merge: Merge, left: Value, right: Value) -> Reading | None:
        """The sum of a stream and an embedding, from which of its operands carries which inputs."""
        if left.carries == right.carries:
            return None
        told = self._which_is_told(left, right, merge.result.size)
        stream = left if told is right else right
        self._inputs |= told.carries & ~stream.carries
        self._embeddings.add(told)
        return Reading("conditioning", "conditioning", merge.operation, merge, stream, told)

    def _carries_more(self, value: Value) -> bool:
        """Whether it carries an input that isn't told."""
        return bool(value.carries & ~self._inputs)

    def _which_is_told(self, left: Value, right: Value, size: int) -> Value:
        """The embedding of two values: the one that only carries what is told, or is repeated, or of less input."""
        for one, other in ((left, right), (right, left)):
            if not self._carries_more(one) and self._carries_more(other):
                return one
        if left.size != right.size and max(left.size, right.size) == size:
            return min(left, right, key=lambda each: each.size)
        return left if self._largest_input(left, right) < self._largest_input(right, left) else right

    def _largest_input(self, one: Value, other: Value) -> int:
        own = one.carries & ~other.carries
        return max((size for number, size in enumerate(self._input_sizes) if own >> number & 1), default=0)
