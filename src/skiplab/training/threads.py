"""The number of threads with which torch computes."""

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")


def with_threads(num_threads: int, make: Callable[[], T]) -> T:
    """What a function makes with so many threads, and from then on, even if a network's own file sets another number.

    The number comes first, since orthogonal weights round by it, and once more behind, since such a file may set it
    when it is imported.
    """
    torch.set_num_threads(num_threads)
    made = make()
    torch.set_num_threads(num_threads)
    return made
