"""Hydra for skiplab's own use inside an application that uses Hydra itself."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def isolated_hydra() -> Iterator[None]:
    """Put an active Hydra aside during the block, because a process has only one, and restore it afterwards."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.singleton import Singleton

    if not GlobalHydra.instance().is_initialized():
        yield
        return
    before = Singleton.get_state()
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        Singleton.set_state(before)
