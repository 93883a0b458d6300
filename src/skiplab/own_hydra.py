"""Hydra for skiplab's own use, within an application that uses Hydra itself."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_hydra() -> Iterator[None]:
    """Set a Hydra that is active aside, since one process has one alone; afterwards it is as it was."""
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
