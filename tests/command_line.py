"""The command line in this process: what it was given, how it ended, what it printed."""

import contextlib
import io
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import aiohttp.web
import pytest

from skiplab import cli
from timed_steps import time_one_step


class Ended(NamedTuple):
    """How a command ended: its exit code, -1 for a traceback, and all that it printed."""

    code: int
    text: str


def as_newcomer(patched: pytest.MonkeyPatch, folder: Path) -> None:
    """Work in a folder of one's own, with nobody's account and no server of W&B; a dashboard ends at once."""
    patched.chdir(folder)
    time_one_step(patched)
    end_wandb()
    patched.setenv("HOME", str(folder))
    patched.setenv("NETRC", str(folder / "none"))
    patched.delenv("WANDB_API_KEY", raising=False)
    patched.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    patched.setattr(aiohttp.web, "run_app", lambda *_, **__: None)
    patched.setattr("webbrowser.open", lambda _: True)


def end_wandb() -> None:
    """Do what W&B does when a process ends: write its files to the end, and forget the folder of its first run."""
    if wandb := sys.modules.get("wandb"):
        wandb.teardown()


def run_script(path: Path) -> None:
    """`python PATH`, without a process of its own."""
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        end_wandb()


def run_command(arguments: Sequence[str]) -> Ended:
    """`skiplab ARGUMENTS`, without a process of its own."""
    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            cli.main(arguments)
        except SystemExit as ended:
            code = ended.code or 0
        except Exception:
            code = -1
            traceback.print_exc()
    return Ended(code, printed.getvalue())
