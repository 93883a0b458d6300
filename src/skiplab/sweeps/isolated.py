"""A trial in a process of its own: its memory goes with it, and what ends it ends nothing else."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from skiplab.errors import Interrupted, SkiplabError
from skiplab.records.key import trial_key
from skiplab.records.record import HeldError, Record

_LOOK_SECONDS = 0.2  # between two looks at whether the sweep goes on
_TOLD_TO_END = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2}


class Isolated:
    """A task that a worker runs in a process forked from itself, with all modules imported.

    Where forking is unsafe (not Linux), it runs in the worker's own.

    Args:
        task: what Hydra calls with a trial's configuration.
        going_on: a file that exists as long as the sweep wants trials to run.
        turn: what a trial waits for and holds; yields its environment.
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
        """What the task returns.

        Raises:
            SkiplabError: what the task raised; or its process was ended, with the reason.
        """
        if sys.platform != "linux":
            return self.task(config)
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)  # the sweep's process hears them, and ends the trials
        from skiplab.training.trial import warm

        warm(config)
        try:
            with self.turn() as environment:
                if self._stopped:
                    raise SkiplabError("not started, the sweep was stopped")
                return self._wait_for(config, environment)
        finally:
            if self._orphaned:
                os._exit(1)  # nobody waits for the result, nor will there be another trial

    @property
    def _orphaned(self) -> bool:
        return os.getppid() != self._sweep

    @property
    def _stopped(self) -> bool:
        return self._orphaned or not self.going_on.exists()

    def _wait_for(self, config: DictConfig, environment: dict[str, str]) -> Any:
        fork = multiprocessing.get_context("fork")
        receiver, sender = fork.Pipe(duplex=False)
        process = fork.Process(target=self._run, args=(config, environment, sender))
        process.start()
        sender.close()
        told = False
        while not receiver.poll(_LOOK_SECONDS):
            if self._stopped and not told:
                process.terminate()  # a checkpoint is written before it ends
                told = True
        try:
            value, error = receiver.recv()
        except EOFError:
            value, error = None, None
        process.join()
        if error is None and process.exitcode != 0:
            error = SkiplabError(_note_death(config, process.exitcode))
        if error is not None:
            raise error
        return value

    def _run(self, config: DictConfig, environment: dict[str, str], sender: Connection) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # to be heard by the trial
        os.environ.update(environment)
        try:
            sender.send((self.task(config), None))
        except SkiplabError as error:
            sender.send((None, error))
        except Interrupted as stop:
            sender.send((None, SkiplabError(f"stopped by {stop}; the same command resumes it")))
        except Exception as error:
            sender.send((None, SkiplabError(f"{type(error).__name__}: {error}")))


def _note_death(config: DictConfig, exitcode: int) -> str:
    """Say in the record of a trial why its process is no more: told to end, it resumes; crashed, it failed."""
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        reason = f"its process was ended by {name}"
        if name == "SIGKILL":
            reason += ", as the system does when memory runs out"
    else:
        reason = f"its process ended with exit status {exitcode}"
    status = "interrupted" if -exitcode in _TOLD_TO_END else "failed"
    record = Record(Path(config.run.runs_dir), trial_key(config))
    try:
        if record.status == "running":
            with record.locked():
                record.update(status=status, error=reason)
    except HeldError:
        pass  # another sweep went on with it
    return reason
