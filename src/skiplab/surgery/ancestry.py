"""Which values of a trace were computed from which."""

import math
from collections.abc import Iterator, Sequence

from skiplab.surgery import aten
from skiplab.surgery.value import Value

_SPELLING = ("mul", "sub")  # what interpolations are written with


class Ancestry:
    """The forks among the ancestors of each value, for one pass through the values in the order of computation.

    A fork is a value that two or more others were computed from: only there can a stream part from a branch. A set of
    forks is an integer with one bit for each. The sets of values that nothing is computed from anymore are dropped.
    """

    def __init__(self) -> None:
        self._forks: list[Value] = []
        self._bit: dict[Value, int] = {}
        self._sets: dict[Value, int] = {}
        self._remaining: dict[Value, int] = {}

    def add(self, value: Value) -> None:
        """Go on to the next value; values that no later one is computed from are forgotten."""
        forks = 0
        for source in value.sources:
            forks |= self._sets.get(source, 0)
        if len(value.uses) > 1:
            self._bit[value] = len(self._forks)
            self._forks.append(value)
            forks |= 1 << self._bit[value]
        self._sets[value], self._remaining[value] = forks, len(value.uses)

    def forget_sources(self, value: Value) -> None:
        """To be called once a value's sources have been asked about.

        Those of a product and of a difference are asked about once more if a sum of them is an interpolation.
        """
        waiting = [] if value.name in _SPELLING else [*value.sources]
        while waiting:
            source = waiting.pop()
            self._remaining[source] -= 1
            if not self._remaining[source]:
                del self._sets[source]
                waiting += source.sources if source.name in _SPELLING else ()

    def descends(self, value: Value, ancestor: Value) -> bool:
        """Whether a value was computed from a fork."""
        bit = self._bit.get(ancestor)
        if bit is None:
            return False
        known = self._sets.get(value)
        return bool(between(ancestor, value)) if known is None else bool(known >> bit & 1)

    def common_forks(self, one: Value, other: Value) -> Iterator[Value]:
        """The forks from which both were computed, and that carry an input, from the latest."""
        shared = self._sets.get(one, 0) & self._sets.get(other, 0)
        while shared:
            bit = shared.bit_length() - 1
            shared ^= 1 << bit
            if self._forks[bit].carries:
                yield self._forks[bit]


def chain(value: Value) -> Iterator[Value]:
    """A value and those it was computed from without a parameter and without another value: the stream's way.

    Scaling, casting, reshaping, slicing, padding, pooling, dropout, and tokens put beside it leave a stream the same
    stream.
    """
    while True:
        yield value
        if len(value.parents) == 1 and not value.learned_parents:
            value = value.parents[0]
        elif not value.parents and len(value.learned_parents) == 1:
            value = value.learned_parents[0]
        else:
            break
    if value.name == "cat" and not value.learned_parents:
        for part in value.parents:
            yield from chain(part)


def factors_on_way(value: Value, products: int = 2) -> Iterator[tuple[Value, Value, Value]]:
    """The values on the stream's way behind a product with computed weights, and the product's factors.

    The second is on the stream's way, and the third are the weights. The way is followed as far as it is linear,
    through a few products one behind the other.
    """
    for each in chain(value):
        if not aten.is_linear(each.name):
            return
        if aten.is_product(each.name) and len(each.parents) == 2 and not each.learned_parents:
            for factor, weights in (each.parents, each.parents[::-1]):
                for further in chain(factor):
                    yield further, factor, weights
                    if not aten.is_linear(further.name):
                        break
                if products > 1:
                    yield from factors_on_way(factor, products - 1)


def between(fork: Value, value: Value, without: Sequence[Value] = ()) -> list[Value]:
    """The values on the ways from a fork to a value, in the order of computation, without the fork."""
    found: dict[int, Value] = {}
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if each.index > fork.index and each.index not in found and each not in without:
            found[each.index] = each
            waiting.extend(each.sources)
    reached = {fork.index}
    for index in sorted(found):
        if any(source.index in reached for source in found[index].sources):
            reached.add(index)
    if value.index not in reached:
        return []
    return [found[index] for index in sorted(reached - {fork.index})]


def goes_back_to(fork: Value, value: Value, without: Sequence[Value]) -> bool:
    """Whether a value was computed from a fork, or from what is as early, on a way that avoids some values."""
    waiting, seen = [value], {value}
    while waiting:
        for parent in waiting.pop().parents:
            if parent in seen or parent in without:
                continue
            if parent.index <= fork.index:
                return True
            seen.add(parent)
            waiting.append(parent)
    return False


def share_elements(fork: Value, one: Sequence[Value], other: Sequence[Value]) -> bool:
    """Whether both ways read common elements of the fork; each is what lies between the fork and its end.

    Steps of a recurrence, and halves of a coupling, read different slices of one tensor.
    """
    reads = [list(_reads(fork, {each.index: each for each in way})) for way in (one, other)]
    if not all(reads):
        return True  # one of them is the fork itself
    return any(left.region.overlaps(right.region) or fork in (left, right) for left in reads[0] for right in reads[1])


def _reads(fork: Value, way: dict[int, Value]) -> Iterator[Value]:
    """The views of a fork that are read on a way; the fork itself if it is read as a whole."""
    for use in fork.uses:
        if use.index not in way:
            continue
        if use.region.memory != fork.region.memory or not use.region.strides or use.name in ("copy", "add"):
            yield fork
            continue
        further = list(_reads(use, way))
        yield from (each if each is not use else use for each in further) if further else (use,)


def num_weights(way: Sequence[Value]) -> int:
    """The largest number of weights of two or more dimensions that lie one behind the other on a way."""
    deepest: dict[int, int] = {}
    for value in way:
        before = max((deepest.get(source.index, 0) for source in value.sources), default=0)
        deepest[value.index] = before + value.reads_weight
    return deepest[way[-1].index] if way else 0


def mixes(way: Sequence[Value]) -> bool:
    """Whether positions are combined on a way, without a parameter."""
    return any(value.mixes for value in way)


def is_linear(fork: Value, way: Sequence[Value]) -> bool:
    """Whether every value on a way is linear in the fork."""
    inside = {fork.index, *(value.index for value in way)}
    for value in way:
        if not aten.is_linear(value.name):
            return False
        if aten.is_product(value.name) and sum(parent.index in inside for parent in value.parents) > 1:
            return False
    return True


def raises_on_every_way(fork: Value, way: Sequence[Value]) -> bool:
    """Whether all ways from the fork pass through a function that raises the resolution.

    What is put back in its places does only if positions were combined meanwhile: not the tokens of an expert.
    """
    if not way:
        return False
    reached, smallest_mix = {fork.index}, math.inf
    for value in way:
        raises = value.raises_resolution and (not aten.puts(value.name) or smallest_mix < value.size)
        if not raises and any(source.index in reached for source in value.sources):
            reached.add(value.index)
        if value.mixes:
            smallest_mix = min(smallest_mix, value.size)
    return way[-1].index not in reached


def weighs_others(value: Value, by: str = "_softmax", steps: int = 16) -> bool:
    """Whether a softmax makes weights of it, such as of the scores of attention; copies may be kept besides.

    by: the function that makes the weights; a sigmoid makes those of a gate.
    """
    uses = [use for use in value.uses if use.uses or not aten.rearranges(use.name)]
    if not uses or not steps:
        return False
    return all(
        _multiplies(use)
        if use.name == by
        else (use.name == "add" or not use.reads_weight) and weighs_others(use, by, steps - 1)
        for use in uses
    )


def _multiplies(value: Value, steps: int = 6) -> bool:
    """Whether others are multiplied by a value."""
    return any(
        aten.is_product(use.name) or (steps > 0 and len(use.parents) == 1 and _multiplies(use, steps - 1))
        for use in value.uses
    )
