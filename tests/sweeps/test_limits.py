"""What workers need is looked at before they start, and told in one sentence; so is it when they end as they start."""

import _multiprocessing
import errno
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable, Sequence

import pytest
from hydra.core.utils import JobReturn
from joblib.externals.loky.process_executor import TerminatedWorkerError

from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.sweeps.job import Job
from skiplab.sweeps.limits import within_limits
from skiplab.sweeps.rounds import WorkersLostError, train
from tiny_trials import TINY, compose_config

GRID = ("train", "-m", *TINY, "connection=plain,identity")


def limit(name: str, value: int) -> Callable:
    """Lets a process have no more of something than this."""

    def lower(patched: pytest.MonkeyPatch) -> None:
        get, which = resource.getrlimit, getattr(resource, name)
        patched.setattr(resource, "getrlimit", lambda asked: (value, value) if asked == which else get(asked))

    return lower


def no_temporary_folder(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(tempfile, "tempdir", None)
    patched.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nonexistent"])


def full_temporary_folder(patched: pytest.MonkeyPatch) -> None:
    def refuse(*arguments, **settings) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patched.setattr(tempfile, "TemporaryFile", refuse)


def no_semaphores(patched: pytest.MonkeyPatch) -> None:
    def refuse(*arguments) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    patched.setattr(_multiprocessing, "SemLock", refuse)


def in_a_daemon(patched: pytest.MonkeyPatch) -> None:
    patched.setitem(multiprocessing.current_process()._config, "daemon", True)  # pyright: ignore[reportAttributeAccessIssue]


def without_joblibs_workers(patched: pytest.MonkeyPatch) -> None:
    patched.setenv("JOBLIB_MULTIPROCESSING", "0")


LACKS = [
    (in_a_daemon, "workers can't be started in a daemon process, such as one of multiprocessing.Pool; use"),
    (without_joblibs_workers, "JOBLIB_MULTIPROCESSING=0 lets joblib start no workers; unset it, or use"),
    (limit("RLIMIT_NOFILE", 24), "ulimit -n is 24, and a sweep with 2 workers needs 72 open files"),
    (limit("RLIMIT_AS", 10**9), "ulimit -v is 976562, and a trial needs an address space of 2097152 KiB"),
    (no_temporary_folder, "temporary files can't be written (No usable temporary directory found"),
    (full_temporary_folder, "temporary files can't be written (No space left on device); set TMPDIR"),
    (no_semaphores, "semaphores, which workers need, can't be created (Read-only file system); make /dev/shm writable"),
]


@pytest.mark.parametrize(("lack", "sentence"), LACKS, ids=[sentence[:12] for _, sentence in LACKS])
def test_a_lack_is_told_before_workers_start(lack: Callable, sentence: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("joblib.Parallel", lambda *arguments, **settings: pytest.fail("workers were started"))
    with monkeypatch.context() as patched:
        lack(patched)
        with pytest.raises(SystemExit) as ended:
            main([*GRID, f"run.runs_dir={tmp_path / 'runs'}"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_soft_limit_of_open_files_is_raised_as_far_as_needed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (70, hard))
        with within_limits(4):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64 + 4 * 4, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with within_limits(2):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
        RuntimeError("can't start new thread"),
    ],
)
def test_what_runs_out_as_workers_start_is_told(error: Exception) -> None:
    told = r"the system can't start 2 workers \(.*hydra\.launcher\.workers"
    with pytest.raises(SkiplabError, match=told), within_limits(2):
        raise error


@pytest.mark.parametrize("error", [ValueError("theirs"), OSError(errno.ENOENT, "theirs"), RuntimeError("theirs")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match="theirs"), within_limits(2):
        raise error


def test_a_worker_that_ends_while_trials_are_checked_is_told(tmp_path, monkeypatch, capsys) -> None:
    def broken(*arguments, **settings) -> Callable:
        def run(tasks) -> None:
            raise TerminatedWorkerError("SIGKILL(-9)")

        return run

    monkeypatch.setattr("joblib.Parallel", broken)
    with pytest.raises(SystemExit) as ended:
        main([*GRID, f"run.runs_dir={tmp_path / 'runs'}"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "a worker ended while trials were checked" in said
    assert "Traceback" not in said


class Losing:
    """A launcher whose workers end as they start."""

    def __init__(self) -> None:
        self.launched = 0

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self.launched += 1
        assert self.launched < 10, "it would go on for ever"
        raise WorkersLostError


def test_workers_that_end_before_any_trial_begins_are_given_up(tmp_path) -> None:
    jobs = []
    for seed in (0, 1):
        composed = compose_config(*TINY, f"seed={seed}", f"run.runs_dir={tmp_path}")
        jobs.append(Job([f"seed={seed}"], composed.config, composed.choices))
    launcher = Losing()
    failures = train(launcher, jobs)
    assert launcher.launched == 3
    assert list(failures.values()) == ["lost its worker 3 times, which happens when memory runs out"] * 2


def test_too_little_memory_to_read_is_told(monkeypatch, capsys) -> None:
    limit("RLIMIT_AS", 4 * 10**8)(monkeypatch)
    with pytest.raises(SystemExit):
        main(["table", "any"])
    told = capsys.readouterr().err
    assert told.startswith("skiplab: ulimit -v is 390625, and a command needs an address space of 1048576 KiB")
