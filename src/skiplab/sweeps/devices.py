"""GPUs that a trial has for itself, among all sweeps of a machine."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path


def visible_devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(index) for index in range(torch.cuda.device_count())]


@contextmanager
def claimed(devices: list[str], count: int, every_seconds: float = 1.0) -> Iterator[list[str]]:
    """Hold `count` free devices, waiting for them; none where there are no devices. A dead owner's become free."""
    if not devices:
        yield []
        return
    while True:
        with ExitStack() as stack:
            mine = list(islice((device for device in devices if _take(device, stack)), count))
            if len(mine) == count:
                yield mine
                return
        time.sleep(every_seconds)


def _take(device: str, stack: ExitStack) -> bool:
    path = Path(tempfile.gettempdir()) / f"skiplab-{os.getuid()}-device-{device}.lock"
    handle = stack.enter_context(path.open("w"))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
