"""Turns: which trials of a machine run at once, and the GPUs that each of them has for itself."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

_LOOK_SECONDS = 0.5  # between two looks at whether a device is free


def visible_devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(index) for index in range(torch.cuda.device_count())]


@contextmanager
def on_devices(devices: Sequence[str], count: int) -> Iterator[dict[str, str]]:
    """Wait for `count` GPUs that no sweep of this machine uses, and hold them; yields an environment without others."""
    with _held([f"skiplab-{os.getuid()}-device-{device}.lock" for device in devices], count) as taken:
        yield {"CUDA_VISIBLE_DEVICES": ",".join(devices[index] for index in taken)}


@contextmanager
def one_at_a_time(sweep: str) -> Iterator[dict[str, str]]:
    """Wait until no other trial of the sweep runs."""
    with _held([f"{sweep}.turn"], 1):
        yield {}


@contextmanager
def at_once() -> Iterator[dict[str, str]]:
    """Wait for nothing."""
    yield {}


@contextmanager
def _held(names: Sequence[str], count: int) -> Iterator[list[int]]:
    """Lock `count` of the named files; the system frees those of a dead owner."""
    while True:
        with ExitStack() as stack:
            free = (index for index, name in enumerate(names) if _lock(Path(tempfile.gettempdir()) / name, stack))
            taken = list(islice(free, count))
            if len(taken) == count:
                yield taken
                return
        time.sleep(_LOOK_SECONDS)


def _lock(path: Path, stack: ExitStack) -> bool:
    handle = stack.enter_context(path.open("w"))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
