"""Turns: which trials of a machine run at once, and the GPUs that each of them has for itself."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from skiplab.records.locks import acquire

_LOOK_SECONDS = 0.5  # between two looks at whether a device is free


def visible_devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(index) for index in range(torch.cuda.device_count())]


@contextmanager
def on_devices(devices: Sequence[str], count: int, shared_by: int = 1) -> Iterator[dict[str, str]]:
    """Wait for `count` GPUs with room, the emptiest first, and hold a place on each; yields an environment of these.

    A GPU has room for `shared_by` trials of sweeps that share it alike, or for one of a sweep that doesn't.
    """

    def places(stack: ExitStack) -> Iterator[str]:
        taken: set[str] = set()
        for place, device in itertools.product(range(shared_by), devices):
            if device not in taken and _take_place(device, place, shared_by, stack):
                taken.add(device)
                yield device

    with _held(places, count) as taken:
        yield {"CUDA_VISIBLE_DEVICES": ",".join(taken)}


@contextmanager
def one_at_a_time(sweep: str) -> Iterator[dict[str, str]]:
    """Wait until no other trial of the sweep runs."""

    def turns(stack: ExitStack) -> Iterator[str]:
        if _lock(f"{sweep}.turn", stack):
            yield sweep

    with _held(turns, 1):
        yield {}


@contextmanager
def at_once() -> Iterator[dict[str, str]]:
    """Wait for nothing."""
    yield {}


@contextmanager
def _held(take: Callable[[ExitStack], Iterator[str]], count: int) -> Iterator[list[str]]:
    """Take `count` of what is free, again and again until there are as many; the system frees those of a dead owner."""
    while True:
        with ExitStack() as stack:
            taken = list(itertools.islice(take(stack), count))
            if len(taken) == count:
                yield taken
                return
        time.sleep(_LOOK_SECONDS)


def _take_place(device: str, place: int, shared_by: int, stack: ExitStack) -> bool:
    """Whether a place on a device was free; one that isn't shared keeps those away that share it."""
    name = f"skiplab-{os.getuid()}-device-{device}"
    if shared_by == 1:
        return _lock(f"{name}.lock", stack)
    with ExitStack() as own:
        if _lock(f"{name}.lock", own, shared=True) and _lock(f"{name}-{place}.lock", own):
            stack.enter_context(own.pop_all())
            return True
    return False


def _lock(name: str, stack: ExitStack, *, shared: bool = False) -> bool:
    handle = stack.enter_context((Path(tempfile.gettempdir()) / name).open("wb"))
    return acquire(handle, "TMPDIR", shared=shared)
