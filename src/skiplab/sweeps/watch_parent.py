"""Ends a worker soon after the sweep that started it, though nothing tells an idle worker that the sweep was killed."""

import os
import threading
import time

_EVERY_SECONDS = 2.0
_busy = threading.Lock()  # held while a trial runs, which is ended first


def watch_parent(parent: int) -> None:
    """Start to watch this process's parent; what a new worker calls first.

    Args:
        parent: the process that started it, which hears that this one ended where the system allows no more threads.
    """
    try:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    except RuntimeError:
        os._exit(1)


def trial_runs() -> threading.Lock:
    """What a worker holds while a trial runs, so that the trial can write a checkpoint before the worker ends."""
    return _busy


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_SECONDS)
    with _busy:
        os._exit(1)
