"""The joined modules whose forwards run, and their submodules meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skiplab.surgery.join_plan import JOINS
from skiplab.surgery.joined_sum import PartsOfSums


class Running(threading.local):
    """The forward of a rewritten module that runs in this thread.

    depth: how many forwards of joined modules run.
    reached: how many of its replaced additions the innermost has reached.
    parts: its unfinished sums.
    """

    depth = 0
    reached = 0

    def __init__(self) -> None:
        self.parts: PartsOfSums = {}


running = Running()


class ModulesWithJoins(dict[str, Any]):
    """The submodules of a joined module, which doesn't see its joins while it runs: it might call them as layers.

    A container never counts them or iterates over them, whoever asks: parameters, state dicts and copies are found by
    `items`.
    """

    def _hides(self) -> bool:
        return running.depth > 0

    def __iter__(self) -> Iterator[str]:
        return (name for name in super().__iter__() if name != JOINS) if self._hides() else super().__iter__()

    def __len__(self) -> int:
        return super().__len__() - (JOINS in self)

    def keys(self) -> Any:
        return list(self) if self._hides() else super().keys()

    def values(self) -> Any:
        return [self[name] for name in super().__iter__() if name != JOINS]

    def items(self) -> Any:
        return [(name, self[name]) for name in self] if self._hides() else super().items()

    def copy(self) -> "ModulesWithJoins":
        return ModulesWithJoins(self)  # of a replica, which hides them too


@contextmanager
def running_forward() -> Iterator[None]:
    running.depth += 1
    try:
        yield
    finally:
        running.depth -= 1
