"""A process of its own without the seconds that imports take: forked from the tests', then made like a fresh one."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing import util
from pathlib import Path
from typing import IO, NoReturn

from command_line import run_command
from tiny_trials import TINY

# Python's own, in place of pytest's, for a fresh process doesn't turn warnings into errors.
_IGNORED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


class Forked:
    """A function in a forked process, used as `subprocess.Popen` is; it leads a session of its own.

    Signals, warnings, standard streams and exit handlers are a fresh process's; imported modules are the tests'.

    Args:
        run: what it does.
        environment: its environment; what PYTHONPATH names is importable. None for this process's.
        cwd: its working directory; None for this process's.
    """

    def __init__(
        self, run: Callable[[], object], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.stdout, self.stderr = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 - read when it ends
        self.returncode: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are about
            self.pid = os.fork()
        if self.pid == 0:
            _be(run, self.stdout, self.stderr, os.environ if environment is None else environment, cwd)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired("a forked process", timeout, *map(_text, (self.stdout, self.stderr)))
            time.sleep(0.01)
        return self.returncode

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """All that it printed, once it has ended."""
        self.wait(timeout)
        with self.stdout, self.stderr:
            return _text(self.stdout), _text(self.stderr)

    def printed(self) -> str:
        """What it has printed so far."""
        return _text(self.stdout)

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def forked_command(
    words: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Forked:
    """`skiplab WORDS` in a forked process, from which a sweep forks its workers too."""
    _import_all()

    def run() -> None:
        from joblib.externals.loky.backend.context import set_start_method

        from skiplab.cli import main

        set_start_method("fork", force=True)
        warnings.filterwarnings("ignore", "`fork` start method should not be used with `loky`", UserWarning)
        main(list(words))

    return Forked(run, environment=environment, cwd=cwd)


@cache
def _import_all() -> None:
    """All that training imports, some of it late: by training."""
    with tempfile.TemporaryDirectory() as folder:
        ended = run_command(["train", *TINY, f"run.runs_dir={folder}"])
    assert ended.code == 0, ended.text


def _text(file: IO[bytes]) -> str:
    return Path(f"/dev/fd/{file.fileno()}").read_text(encoding="utf-8")


def _be(
    run: Callable[[], object], stdout: IO[bytes], stderr: IO[bytes], environment: Mapping[str, str], cwd: Path | None
) -> NoReturn:
    """The life of the forked process."""
    code = 1
    try:
        os.setsid()
        # what the tests' process will clean up stays
        weakref.finalize._registry.clear()
        util._finalizer_registry.clear()
        if media := sys.modules.get("wandb.sdk.data_types._private"):
            atexit.unregister(media.MEDIA_TMP.cleanup)
        for signum in (signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP):
            signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(stdout.fileno(), 1)
        os.dup2(stderr.fileno(), 2)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, buffering=1, encoding="utf-8") for number, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        warnings.resetwarnings()
        for kind in _IGNORED:
            warnings.simplefilter("ignore", kind)
        warnings.showwarning = warnings._showwarning_orig
        given = dict(environment)
        os.environ.clear()
        os.environ.update(given)
        sys.path[:0] = given.get("PYTHONPATH", "").split(os.pathsep)
        if cwd is not None:
            os.chdir(cwd)
        run()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()
            atexit._run_exitfuncs()
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
