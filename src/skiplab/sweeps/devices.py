"""Which trials run at once on a machine, and which GPUs each of them may use."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from skiplab.records.locks import acquire, release

_POLL_SECONDS = 0.5  # between two tries to take a device


def visible_devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(index) for index in range(torch.cuda.device_count())]


@contextmanager
def on_devices(devices: Sequence[str], count: int, shared_by: int = 1) -> Iterator[dict[str, str]]:
    """Wait for a free slot on each of `count` GPUs, the emptiest first; yields the environment that selects these GPUs.

    A GPU has `shared_by` slots for trials of sweeps that share it equally, or one for a trial of a sweep that doesn't.
    """

    def slots(stack: ExitStack) -> Iterator[str]:
        taken: set[str] = set()
        for slot, device in itertools.product(range(shared_by), devices):
            if device not in taken and _take_slot(device, slot, shared_by, stack):
                taken.add(device)
                yield device

    with _held(slots, count) as taken:
        yield {"CUDA_VISIBLE_DEVICES": ",".join(taken)}


@contextmanager
def one_at_a_time(turn: Path) -> Iterator[dict[str, str]]:
    """Wait until no other trial of the sweep is running; they share a file, in a temporary folder of the sweep."""

    def turns(stack: ExitStack) -> Iterator[str]:
        if _lock(turn, stack):
            yield "turn"

    with _held(turns, 1):
        yield {}


@contextmanager
def without_waiting() -> Iterator[dict[str, str]]:
    """Start at once."""
    yield {}


@contextmanager
def _held(take: Callable[[ExitStack], Iterator[str]], count: int) -> Iterator[list[str]]:
    """Try to take `count` free ones until there are enough; the system frees those of a process that died."""
    while True:
        with ExitStack() as stack:
            taken = list(itertools.islice(take(stack), count))
            if len(taken) == count:
                yield taken
                return
        time.sleep(_POLL_SECONDS)


def _take_slot(device: str, slot: int, shared_by: int, stack: ExitStack) -> bool:
    """Take a slot if it is free; a device that isn't shared is locked for all who would share it."""
    folder, name = Path(tempfile.gettempdir()), f"skiplab-{os.getuid()}-device-{device}"
    if shared_by == 1:
        return _lock(folder / f"{name}.lock", stack)
    with ExitStack() as own:
        if _lock(folder / f"{name}.lock", own, shared=True) and _lock(folder / f"{name}-{slot}.lock", own):
            stack.enter_context(own.pop_all())
            return True
    return False


def _lock(path: Path, stack: ExitStack, *, shared: bool = False) -> bool:
    handle = stack.enter_context(path.open("wb"))
    if not acquire(handle, "TMPDIR", shared=shared):
        return False
    stack.callback(release, handle)  # a worker's process for trials may live on, and has the file, too
    return True
