"""A folder that the system lets nobody write to: as a read-only file system answers, or a full disk."""

import builtins
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def refuse_writing(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    """Let every call of the system that would change something below the folder fail with this number.

    On a full disk what exists can still be renamed and removed; a file can be opened but takes no bytes.
    """

    def refused(name: Any) -> bool:
        return isinstance(name, str | os.PathLike) and Path(name).resolve().is_relative_to(folder.resolve())

    def refusing(act: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(name: Any, *others: Any, **words: Any) -> Any:
            if refused(name):
                raise OSError(number, os.strerror(number), str(name))
            return act(name, *others, **words)

        return refuse

    opened = io.open

    def open_(name: Any, mode: str = "r", *others: Any, **words: Any) -> Any:
        if refused(name) and set(mode) & set("wax+"):
            if number == errno.ENOSPC:
                opened(name, mode, *others, **words).close()
            raise OSError(number, os.strerror(number), str(name))
        return opened(name, mode, *others, **words)

    monkeypatch.setattr(io, "open", open_)
    monkeypatch.setattr(builtins, "open", open_)
    for name in ("mkdir", "rename", "replace", "unlink", "remove"):
        if number != errno.ENOSPC or name == "mkdir":
            monkeypatch.setattr(os, name, refusing(getattr(os, name)))
