"""A trial in a forked process, which can die without harm to other trials."""

import gc
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache, partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from skiplab.errors import SkiplabError
from skiplab.records.record import HeldError, Record
from skiplab.sweeps.forked_process import DiedError, ForkedProcess
from skiplab.sweeps.watch_parent import trial_runs

_TERMINATION = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2}
_OLD_SECONDS = 10.0  # a fork and what follows from it are less than a hundredth of that


class Isolated:
    """Runs the trials of a worker in forked processes, which have all modules imported already.

    Short trials would spend much of their time on their fork and on copying the pages that they write to. So a process
    runs one trial after the other until it is old, if they name nothing but skiplab's own code and end well. A trial
    that is given a device has its own process, which frees the device's memory by its end.

    Args:
        sweep: the process that started the worker.
        going_on: a file that exists as long as the sweep wants trials to run.
        turn: what a trial waits for and holds while it runs; yields its environment.
    """

    def __init__(self, sweep: int, going_on: Path, turn: Callable[[], AbstractContextManager[dict[str, str]]]) -> None:
        self.sweep, self.going_on, self.turn = sweep, going_on, turn
        self._kept: ForkedProcess | None = None  # for the next trial

    def run(
        self, trial: Callable[[], JobReturn], settings: Mapping[str, Any], record: Callable[[], Record]
    ) -> JobReturn:
        """Run a trial.

        Args:
            trial: runs it; pickled.
            settings: its configuration as plain values.
            record: finds its record.

        Raises:
            SkiplabError: the sweep was stopped before, or the trial's process died; says why.
        """
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)  # the sweep's own process handles them and ends the trials
        from skiplab.training.warm import is_of_own_code, warm

        warm(settings)
        try:
            with self.turn() as environment, trial_runs():
                if self._stopped:
                    raise SkiplabError("not started, because the sweep was interrupted")
                shares = not environment and is_of_own_code(settings)
                return self._run(partial(_with_environment, trial, environment), shares=shares)
        except DiedError as death:
            raise SkiplabError(_record_death(record(), death.exitcode)) from None
        finally:
            if self._orphaned:
                os._exit(1)  # nothing waits for the result, and no trial will follow

    @property
    def _orphaned(self) -> bool:
        return os.getppid() != self.sweep

    @property
    def _stopped(self) -> bool:
        return self._orphaned or not self.going_on.exists()

    def _run(self, trial: Callable[[], JobReturn], *, shares: bool) -> JobReturn:
        """Run a trial in the process that is kept or in a new one.

        Args:
            trial: runs it.
            shares: whether other trials may run in its process, before it and after it.
        """
        process, self._kept = self._kept, None
        if process is not None and not (shares and process.alive):
            process.close()
            process = None
        if process is None:
            _freeze()
            process = ForkedProcess()
        asked: list[BaseProcess] = []

        def end_if_stopped(process: BaseProcess) -> None:
            if self._stopped and not asked:
                process.terminate()  # it writes a checkpoint before it ends
                asked.append(process)

        keeps = False
        try:
            result = process.call(trial, end_if_stopped)
            keeps = shares and result.status is JobStatus.COMPLETED and not asked and process.age < _OLD_SECONDS
        finally:
            if keeps:
                self._kept = process
            else:
                process.close()
        return result


def _with_environment(trial: Callable[[], JobReturn], environment: Mapping[str, str]) -> JobReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # so that the trial can handle it
    os.environ.update(environment)
    return trial()


@cache  # once a worker: freezing again would keep what each trial leaves
def _freeze() -> None:
    """Leave what exists out of later collections, which would write to it in a forked trial, and so copy it."""
    gc.collect()
    gc.freeze()


def _record_death(record: Record, exitcode: int) -> str:
    """Write to the record why the process ended: a trial that was asked to end is interrupted, a crashed one failed."""
    if exitcode < 0:
        is_named = -exitcode in {*signal.Signals}  # real-time signals aren't
        name = signal.Signals(-exitcode).name if is_named else f"signal {-exitcode}"
        reason = f"its process was killed by {name}"
        if name == "SIGKILL":
            reason += ", which the system sends when memory runs out"
    else:
        reason = f"its process ended with exit status {exitcode}"
    status = "interrupted" if -exitcode in _TERMINATION else "failed"
    try:
        if record.status == "running":
            with record.locked():
                record.update(status=status, error=reason)
    except HeldError:
        pass  # another sweep has resumed it
    return reason
