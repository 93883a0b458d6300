"""The forks at which a stream and a branch part."""

from collections.abc import Iterator
from itertools import pairwise

from skiplab.surgery import aten
from skiplab.surgery.ancestry import (
    Ancestry,
    between,
    chain,
    factors_on_way,
    goes_back_to,
    is_linear,
    mixes,
    num_weights,
    share_elements,
)
from skiplab.surgery.value import Value

_MOST_FORKS = 64


class Forks:
    """Finds the value from which a stream and an update were both computed, and what lies between."""

    def __init__(self, ancestry: Ancestry) -> None:
        self._ancestry = ancestry

    def on_way(self, stream: Value, update: Value) -> tuple[Value | None, list[Value]]:
        """The value on the stream's way from which the update was computed by way of a parameter, and the branch."""
        way: list[Value] = []
        for fork in chain(stream):
            if not stream.carries and way and not aten.rearranges(way[-1].name):
                return None, []  # made of parameters, such as the lengths of a codebook's vectors
            if self._ancestry.descends(update, fork):
                branch = between(fork, update)
                at_all = way or [stream] if fork is not stream else []
                if not share_elements(fork, at_all, branch):
                    return None, []
                if not update.carries and not num_weights(branch):
                    return None, []  # parameters that are scaled or shifted by others
                scaled = is_linear(fork, branch) and not (num_weights(branch) or mixes(branch))
                only_scaled = all(aten.rearranges(value.name) or aten.scales(value.name) for value in way)
                learned = any(value.reads_parameter for value in branch) and not scaled
                if learned or (only_scaled and mixes(branch)):
                    return self._before_views(fork, branch, update)
            way = [*way, fork]
        return None, []

    def _before_views(self, fork: Value, branch: list[Value], update: Value) -> tuple[Value, list[Value]]:
        """A fork that is no mere view of another, and its branch."""
        for view, viewed in pairwise(chain(fork)):
            if not aten.rearranges(view.name) or view.size != viewed.size:
                break
            if self._ancestry.descends(update, viewed):
                fork, branch = viewed, between(viewed, update)
        return fork, branch

    def behind_weights(self, stream: Value, update: Value) -> tuple[Value | None, list[Value]]:
        """As on_way, but the stream is multiplied with weights that are computed from the fork too."""
        for fork, factor, weights in factors_on_way(stream):
            if all(self._ancestry.descends(each, fork) for each in (weights, update)):
                branch = between(fork, update)
                read = any(value.reads_parameter for value in branch)
                if read and share_elements(fork, between(fork, factor), branch):
                    return fork, branch
        return None, []

    def common(self, left: Value, right: Value) -> Iterator[tuple[Value, list[Value], list[Value]]]:
        """The forks of both, from the latest, and what lies between each and them.

        Both must read common elements of the fork, and at least one of them on a way past all later forks.
        """
        disjoint: list[Value] = []
        later: list[Value] = []
        for fork in self._ancestry.common_forks(left, right):
            passed = [*disjoint, *later]
            past = [goes_back_to(fork, side, passed) for side in (left, right)]
            if later and not any(past):
                return
            ways = [between(fork, side, disjoint) for side in (left, right)]
            if not all(ways) or not share_elements(fork, *ways):
                if not later and not all(past):
                    return
                disjoint.append(fork)
            elif not later or any(between(fork, side, passed) for side in (left, right)):
                yield fork, ways[0], ways[1]
                later.append(fork)
            if len(disjoint) + len(later) > _MOST_FORKS:
                return
