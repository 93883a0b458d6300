"""What an addition means: the notion of docs/finding_shortcuts.md."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, permutations
from operator import itemgetter

from skiplab.surgery.ancestry import (
    Ancestry,
    between,
    chain,
    is_linear,
    mixes,
    num_weights,
    raises_on_every_way,
    weighs_others,
)
from skiplab.surgery.concatenation import is_along_channels, is_part
from skiplab.surgery.conditioning import Conditioning
from skiplab.surgery.forks import Forks
from skiplab.surgery.interpolation import ends_in, interpolated
from skiplab.surgery.merge import Merge
from skiplab.surgery.reading import Reading
from skiplab.surgery.shortcut import Kind
from skiplab.surgery.torch_calls import Operation
from skiplab.surgery.trace import Trace
from skiplab.surgery.value import Value


def readings(traced: Trace) -> list[Reading]:
    """The merges of a trace that are shortcuts or conditioning, in their order."""
    reader = _Reader(traced)
    merges = {merge.result: merge for merge in traced.merges}
    for value in traced.values:
        reader.ancestry.add(value)
        if value in merges:
            reader.read(merges[value])
        reader.ancestry.forget_sources(value)
    return reader.certain()


class _Reader:
    def __init__(self, traced: Trace) -> None:
        self.ancestry = Ancestry()
        self.forks = Forks(self.ancestry)
        self.conditioning = Conditioning(traced.input_sizes)
        self.found: dict[Value, Reading] = {}  # by the result

    def read(self, merge: Merge) -> None:
        if not merge.result.shape or weighs_others(merge.result):
            return
        how = {"concatenation": self._concatenated, "mixture": self._mixed}
        read = how.get(merge.operation, self._added)(merge)
        if read is None or (read.kind == "uncertain" and read.operation == "subtraction"):
            return
        terms = merge.operands if merge.operation not in how else ()
        for part in terms:  # siblings that are part of this sum, not a sum of their own
            inner = self.found.get(part)
            if inner is not None and inner.kind in ("projection", "uncertain") and len(part.uses) == 1:
                del self.found[part]
        for each in read.earlier:
            self.found.pop(each.result, None)
        if read.operation == "interpolation":  # its weight may combine both too
            for use in read.update.uses:
                if use in self.found and read.stream in use.parents:
                    del self.found[use]
        self.found[merge.result] = read

    def certain(self) -> list[Reading]:
        """All that was found, without those uncertain ones that are no shortcuts.

        Of these an operand goes on as a stream of its own, or they are steps of a recurrence: the same code in the same
        call of a module.
        """
        streams = {value for each in self.found.values() if each.kind != "conditioning" for value in chain(each.stream)}
        places = Counter((each.merge.result.modules, each.site) for each in self.found.values())
        return [
            each
            for each in self.found.values()
            if each.kind != "uncertain"
            or (each.update not in streams and places[each.merge.result.modules, each.site] == 1)
        ]

    def _added(self, merge: Merge) -> Reading | None:
        left, right = merge.operands[:2]
        operation: Operation = merge.operation
        if terms := interpolated(merge):
            operation, (left, right) = "interpolation", terms
        if left is right:
            return None
        for stream, update in ((left, right), (right, left)):
            fork, branch = self.forks.on_way(stream, update)
            if fork is not None:
                return self._identity(merge, operation, stream, update, fork, branch)
        for sum_before, update in ((left, right), (right, left)):
            if operation == "addition" and (longer := self._continued(merge, sum_before, update)):
                return longer
        if not (left.carries and right.carries):
            self.conditioning.add_learned(left, right)
            return None
        return (
            self._projection(merge, operation, left, right)
            or self._weighed(merge, operation, left, right)
            or self.conditioning.read(merge, left, right)
        )

    def _identity(
        self, merge: Merge, operation: Operation, stream: Value, update: Value, fork: Value, branch: list[Value]
    ) -> Reading | None:
        if self.conditioning.is_embedding(stream, update, merge):
            differs = stream.carries and stream.carries != update.carries
            return Reading("conditioning", "conditioning", operation, merge, update, stream) if differs else None
        way = [] if stream is fork else between(fork, stream)
        form: Kind = "long skip" if _is_decoded(fork, way, branch) else "identity"
        kind: Kind = form if _ends(update, merge, operation) and is_linear(fork, way) else "uncertain"
        return Reading(kind, form, operation, merge, stream, update, fork, branch)

    def _continued(self, merge: Merge, before: Value, update: Value) -> Reading | None:
        """x + a(h) + b(h): one sum, whose updates are a(h) and b(h)."""
        first = self.found.get(before)
        if first is None or first.fork is None or len(before.uses) > 1 or first.operation != "addition":
            return None
        if not self.ancestry.descends(update, first.fork):
            return None
        branch = between(first.fork, update)
        if not any(value.reads_parameter for value in branch):
            return None
        others = [use for use in first.update.uses if use is not before]
        if not all(use in branch for use in others):  # such as x + u + tanh(u)
            return None
        own = {value.index: value for value in (*first.branch, *branch)}
        branch = [own[index] for index in sorted(own)]
        if not _replaceable_together(first.merge, merge):
            return Reading("uncertain", first.form, merge.operation, merge, before, update, first.fork, branch)
        return Reading(
            kind=first.form if len(update.uses) == 1 else "uncertain",
            form=first.form,
            operation=merge.operation,
            merge=merge,
            stream=first.stream,
            update=first.update,
            fork=first.fork,
            branch=branch,
            earlier=[*first.earlier, first.merge],
        )

    def _projection(self, merge: Merge, operation: Operation, left: Value, right: Value) -> Reading | None:
        if any(self.conditioning.is_told(one, other, merge) for one, other in ((left, right), (right, left))):
            return None
        for fork, on_left, on_right in self.forks.common(left, right):
            sides = sorted([(left, on_left), (right, on_right)], key=lambda side: _depth(side[1]))
            (stream, short), (update, branch) = sides
            if _is_decoded(fork, branch, short):
                (stream, short), (update, branch) = (update, branch), (stream, short)
            decoded = _is_decoded(fork, short, branch)
            weights = num_weights(short), num_weights(branch)
            if not (decoded or weights[1] or mixes(branch)):
                continue  # a scale; the branch may have read its weights from what the fork was made of
            if not any(value.reads_parameter for value in short):
                return None
            if not decoded:
                straight = [is_linear(fork, way) for way in (short, branch)]
                if weights[0] == weights[1] and straight == [False, True]:
                    (stream, short), (update, branch) = (update, branch), (stream, short)
                    straight.reverse()
                if not straight[0] or (weights[0] and straight[1]):
                    return None
            if weighs_others(merge.result, by="sigmoid"):
                return None  # two maps that make a gate
            form: Kind = "long skip" if decoded else "projection"
            kind: Kind = form if all(_ends(each, merge, operation) for each in (update, stream)) else "uncertain"
            return Reading(kind, form, operation, merge, stream, update, fork, branch)
        return None

    def _weighed(self, merge: Merge, operation: Operation, left: Value, right: Value) -> Reading | None:
        """A stream that is multiplied with weights computed from it, such as a matrix that mixes several streams."""
        for stream, update in ((left, right), (right, left)):
            fork, branch = self.forks.behind_weights(stream, update)
            if fork is not None:
                return Reading("uncertain", "uncertain", operation, merge, stream, update, fork, branch)
        return None

    def _mixed(self, merge: Merge) -> Reading | None:
        """A stream, and what a branch makes of it, by weights or by elements: what passes isn't known."""
        for stream, update in permutations(dict.fromkeys(merge.operands), 2):
            fork, branch = self.forks.on_way(stream, update)
            if fork is not None:
                return Reading("uncertain", "uncertain", "mixture", merge, stream, update, fork, branch)
        return None

    def _concatenated(self, merge: Merge) -> Reading | None:
        operands = [each for each in dict.fromkeys(merge.operands) if each.carries]
        if not is_along_channels(merge):
            return None
        for stream, update in permutations(operands, 2):
            fork, branch = self.forks.on_way(stream, update)
            if fork is not None and not is_part(stream, fork, merge) and any(value.reads_weight for value in branch):
                return Reading("long skip", "long skip", "concatenation", merge, stream, update, fork, branch)
        pairs = list(combinations(operands, 2)) if len(operands) <= _MOST_PARTS else []
        for one, other in pairs:
            if (projected := self._projection(merge, "concatenation", one, other)) is not None:
                return replace(projected, kind="long skip")
        for one, other in pairs:
            if (beside := self._beside_blocks(merge, one, other)) is not None:
                return beside
        return None

    def _beside_blocks(self, merge: Merge, one: Value, other: Value) -> Reading | None:
        """What is concatenated with the end of blocks that it doesn't pass, though it passes a nonlinear layer."""
        for fork, *ways in self.forks.common(one, other):
            sides = [(sum(map(self._ends_block, way)), term, way) for term, way in zip((one, other), ways, strict=True)]
            (fewer, stream, _), (more, update, branch) = sorted(sides, key=itemgetter(0))
            if fewer == more:
                break
            return Reading("uncertain", "long skip", "concatenation", merge, stream, update, fork, branch)
        return None

    def _ends_block(self, value: Value) -> bool:
        return value in self.found and self.found[value].kind in ("identity", "projection")


_MOST_PARTS = 8  # of a concatenation, to look at every pair


def _depth(way: Sequence[Value]) -> tuple[int, bool]:
    """What distinguishes a branch from the stream beside it: its weights, or that it combines positions."""
    return num_weights(way), mixes(way)


def _is_decoded(fork: Value, way: Sequence[Value], branch: Sequence[Value]) -> bool:
    """Whether the branch raises the resolution on every way, and the stream doesn't: it was lowered before."""
    return raises_on_every_way(fork, branch) and not any(value.raises_resolution for value in way)


def _ends(term: Value, merge: Merge, operation: Operation) -> bool:
    """Whether a term is used for this sum alone."""
    return len(term.uses) == 1 or (operation == "interpolation" and ends_in(term, merge))


def _replaceable_together(first: Merge, last: Merge) -> bool:
    """Whether the same call of one module computes both."""
    return first.call is not None and last.call is not None and first.result.modules == last.result.modules
