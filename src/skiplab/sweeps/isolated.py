"""A trial in a process of its own, which frees its memory and can die without harm to other trials."""

import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from skiplab.errors import Interrupted, SkiplabError
from skiplab.records.key import trial_key
from skiplab.records.record import HeldError, Record
from skiplab.sweeps.in_fork import in_fork
from skiplab.sweeps.watch_parent import trial_runs

_TERMINATION = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2}


class Isolated:
    """A task that a worker runs in a forked process, which has all modules imported already.

    Where forking is unsafe (other systems than Linux), it runs in the process of the worker.

    Args:
        task: what Hydra calls with the configuration of a trial.
        going_on: a file that exists as long as the sweep wants trials to run.
        turn: what a trial waits for and holds while it runs; yields its environment.
    """

    def __init__(
        self,
        task: Callable[[DictConfig], Any],
        going_on: Path,
        turn: Callable[[], AbstractContextManager[dict[str, str]]],
    ) -> None:
        self.task, self.going_on, self.turn = task, going_on, turn
        self._sweep = os.getpid()

    def __call__(self, config: DictConfig) -> Any:
        """The result of the task.

        Raises:
            SkiplabError: the task raised an error or its process died; says why.
        """
        if sys.platform != "linux":
            return self.task(config)
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)  # the sweep's own process handles them and ends the trials
        from skiplab.training.warm import warm

        warm(config)
        try:
            with self.turn() as environment, trial_runs():
                if self._stopped:
                    raise SkiplabError("not started, because the sweep was interrupted")
                return self._wait_for(config, environment)
        finally:
            if self._orphaned:
                os._exit(1)  # nothing waits for the result, and no trial will follow

    @property
    def _orphaned(self) -> bool:
        return os.getppid() != self._sweep

    @property
    def _stopped(self) -> bool:
        return self._orphaned or not self.going_on.exists()

    def _wait_for(self, config: DictConfig, environment: dict[str, str]) -> Any:
        _freeze()
        asked: list[BaseProcess] = []

        def end_if_stopped(process: BaseProcess) -> None:
            if self._stopped and not asked:
                process.terminate()  # it writes a checkpoint before it ends
                asked.append(process)

        value, error, exitcode = in_fork(partial(self._run, config, environment), end_if_stopped)
        if error is None and exitcode:
            error = SkiplabError(_record_death(config, exitcode))
        if error is not None:
            raise error
        return value

    def _run(self, config: DictConfig, environment: dict[str, str]) -> Any:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # so that the trial can handle it
        os.environ.update(environment)
        try:
            return self.task(config)
        except SkiplabError:
            raise
        except Interrupted as interrupted:
            raise SkiplabError(f"interrupted by {interrupted}; run the same command again to resume it") from None
        except Exception as error:
            raise SkiplabError(f"{type(error).__name__}: {error}") from None


@cache  # once a worker: freezing again would keep what each trial leaves
def _freeze() -> None:
    """Leave what exists out of later collections, which would write to it in a forked trial, and so copy it."""
    gc.collect()
    gc.freeze()


def _record_death(config: DictConfig, exitcode: int) -> str:
    """Write to the record why the process ended: a trial that was asked to end is interrupted, a crashed one failed."""
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        reason = f"its process was killed by {name}"
        if name == "SIGKILL":
            reason += ", which the system sends when memory runs out"
    else:
        reason = f"its process ended with exit status {exitcode}"
    status = "interrupted" if -exitcode in _TERMINATION else "failed"
    record = Record(Path(config.run.runs_dir), trial_key(config))
    try:
        if record.status == "running":
            with record.locked():
                record.update(status=status, error=reason)
    except HeldError:
        pass  # another sweep has resumed it
    return reason
