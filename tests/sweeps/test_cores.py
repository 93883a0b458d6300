"""All cores: whatever ends a trial ends nothing else, sweeps share trials, and a stopped sweep leaves checkpoints."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from waiting_connection import FOLDER, WAITING

from forked_process import Forked, forked_command
from skiplab.cli import main
from tiny_trials import TINY

OWN = '''
import os
import signal
from concurrent.futures import ThreadPoolExecutor

from skiplab.blocks.connections.identity import Identity

_POOL = ThreadPoolExecutor(2)


class Ending(Identity):
    """Ends its process at the first training step, as `how` says."""

    def __init__(self, spec, *, how):
        super().__init__(spec)
        self.how = how

    def join(self, stream, update, cond):
        if self.training and len(stream) > 1:
            if self.how == "exit":
                os._exit(3)
            if self.how == "raise":
                raise RuntimeError("the join broke")
            if self.how == "never":
                return stream + update
            os.kill(os.getpid(), self.how if isinstance(self.how, int) else getattr(signal, self.how))
        return stream + update


class Pooled(Identity):
    """Computes in threads of its file's own when it is made, which a fork would lack."""

    def __init__(self, spec):
        super().__init__(spec)
        _POOL.submit(int).result()


class Noting(Identity):
    """Writes a line for each time that it begins to be trained."""

    noted = False

    def join(self, stream, update, cond):
        if self.training and len(stream) > 1 and not self.noted:
            self.noted = True
            with open(os.environ["NOTES"], "a") as file:
                file.write(f"{os.getpid()}\\n")
        return stream + update
'''
COMMAND = (sys.executable, "-c", "from skiplab.cli import main; main()")


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Processes with connection=ending, connection=noting and WAITING."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "connection").mkdir()
    (folder / "core_connections.py").write_text(OWN)
    (folder / "connection" / "ending.yaml").write_text("_target_: core_connections.Ending\nhow: raise\n")
    (folder / "connection" / "pooled.yaml").write_text("_target_: core_connections.Pooled\n")
    (folder / "connection" / "noting.yaml").write_text("_target_: core_connections.Noting\n")
    path = os.pathsep.join([str(folder), FOLDER])
    return {**os.environ, "PYTHONPATH": path, "NOTES": str(folder / "notes.txt"), "OWN": str(folder)}


def words(environment: dict[str, str], runs_dir: Path, *overrides: str) -> list[str]:
    return ["train", "-m", "--config-dir", environment["OWN"], *TINY, f"run.runs_dir={runs_dir}", *overrides]


def start(environment: dict[str, str], runs_dir: Path, *overrides: str) -> Forked:
    return forked_command(words(environment, runs_dir, *overrides), environment=environment)


def start_fresh(environment: dict[str, str], runs_dir: Path, *overrides: str) -> subprocess.Popen:
    """The same with an interpreter of its own, whose workers have theirs."""
    return subprocess.Popen(
        [*COMMAND, *words(environment, runs_dir, *overrides)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def records(runs_dir: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(runs_dir.glob("*/record.json"))]


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["forked", "fresh"])
def test_whatever_ends_a_trial_is_told_and_ends_no_other(fresh: bool, environment, tmp_path) -> None:
    hows = ["raise", "exit", "SIGKILL", "SIGSEGV", "35"]  # the last is a real-time signal, which has no name
    grid = [f"connection.how={','.join(hows)}", "connection=ending", "seed=0"]
    sweep = (start_fresh if fresh else start)(environment, tmp_path, *grid)
    output, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 1, errors
    assert "5 of 5 trials failed" in errors
    found = {
        r["factors"]["connection.how"]: (r["status"], r["error"].strip().splitlines()[-1]) for r in records(tmp_path)
    }
    assert found["raise"] == ("failed", "RuntimeError: the join broke")
    assert found["exit"] == ("failed", "its process ended with exit status 3")
    assert found[35] == ("failed", "its process was killed by signal 35")
    assert found["SIGSEGV"] == ("failed", "its process was killed by SIGSEGV")
    assert found["SIGKILL"] == (
        "interrupted",
        "its process was killed by SIGKILL, which the system sends when memory runs out",
    )
    for _, reason in found.values():
        assert reason.removeprefix("RuntimeError: ") in errors

    more = start(environment, tmp_path, f"connection.how={','.join(hows)},never", *grid[1:])
    output, errors = more.communicate(timeout=120)
    assert more.returncode == 1, "what failed is listed again"
    assert "6 trials, 0 already done, 4 failed before (run.retry_failed=true retries them), 2 to train" in output


def test_a_reader_that_has_gone_hides_no_failure_and_no_file_stays(environment, tmp_path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    grid = ("connection=ending", "connection.how=raise,never", "seed=0", "hydra.launcher.workers=1")
    with start_fresh(environment | {"TMPDIR": str(temporary)}, tmp_path / "runs", *grid) as sweep:
        assert sweep.stdout is not None
        assert sweep.stderr is not None
        assert "2 trials" in sweep.stdout.readline()
        sweep.stdout.close()
        errors = sweep.stderr.read()
    assert sweep.returncode == 1
    assert "1 of 2 trials failed" in errors
    assert "BrokenPipeError" not in errors
    assert list(temporary.glob("skiplab*")) == []


def test_a_trial_computes_with_several_threads(environment, tmp_path) -> None:
    """On a machine with cores to spare, a worker could start threads, too, which would be missing in its trials."""
    spare = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}  # as joblib sets them there
    sweep = start_fresh(environment | spare, tmp_path, "num_threads=2", "connection=plain,identity", "seed=0")
    try:
        _, errors = sweep.communicate(timeout=120)
    finally:
        sweep.terminate()
    assert sweep.returncode == 0, errors
    assert [r["status"] for r in records(tmp_path)] == ["done"] * 2


def test_what_is_checked_leaves_no_threads_that_a_trial_would_lack(environment, tmp_path) -> None:
    sweep = start(environment, tmp_path, "connection=pooled,plain", "seed=0,1")
    _, errors = sweep.communicate(timeout=60)
    assert sweep.returncode == 0, errors
    assert [r["status"] for r in records(tmp_path)] == ["done"] * 4


def test_two_sweeps_share_trials_and_train_each_once(environment, tmp_path) -> None:
    Path(environment["NOTES"]).unlink(missing_ok=True)
    grid = ("connection=noting", "depth=4", "seed=0,1,2,3", "trainer.max_steps=30")
    sweeps = [start(environment, tmp_path, *grid, f"run.study={name}") for name in ("first", "second")]
    for sweep in sweeps:
        _, errors = sweep.communicate(timeout=180)
        assert sweep.returncode == 0, errors
    assert [r["status"] for r in records(tmp_path)] == ["done"] * 4
    joins = Path(environment["NOTES"]).read_text().split()
    assert len(joins) == 4 * 4, "each of the four trials' four joins began to be trained once"
    assert len(set(joins)) == 4, "each trial had a process of its own"
    for name in ("first", "second"):
        assert len((tmp_path / "studies" / name / "keys.txt").read_text().split()) == 4


@pytest.mark.parametrize(
    "signum",
    [
        signal.SIGTERM,
        signal.SIGHUP,
        *(pytest.param(other, marks=pytest.mark.slow) for other in (signal.SIGINT, signal.SIGKILL)),
    ],
)
def test_a_stopped_sweep_leaves_checkpoints_and_no_process_and_goes_on(
    signum, environment, tmp_path, long_trials
) -> None:
    sweep = start(environment | {"WAIT": ""}, tmp_path, *long_trials.grid)
    wait_until(lambda: any(path.stat().st_size > 60 for path in tmp_path.glob("*/history.csv")))
    family = psutil.Process(sweep.pid).children(recursive=True)
    if signum in (signal.SIGINT, signal.SIGHUP):
        os.killpg(sweep.pid, signum)  # as a terminal does
    else:
        sweep.send_signal(signum)
    if signum == signal.SIGKILL:
        assert sweep.wait(timeout=20) == -signum
    else:
        _, errors = sweep.communicate(timeout=60)
        assert sweep.returncode == 128 + signum, errors
        assert f"interrupted by {signum.name}" in errors
    wait_until(lambda: not any(process.is_running() and process.status() != "zombie" for process in family), 20)
    found = records(tmp_path)
    stopped = [r for r in found if r["status"] == "interrupted"]
    assert stopped
    assert all("SIGTERM" in r["error"] for r in stopped)
    assert {r["status"] for r in found} <= {"interrupted", "done"}
    for stream in (sweep.stdout, sweep.stderr):
        stream.close()
    again = start(environment, tmp_path, *long_trials.grid)
    _, errors = again.communicate(timeout=180)
    assert again.returncode == 0, errors
    long_trials.assert_equal(tmp_path)


def test_a_sweep_that_is_stopped_before_its_first_trial_leaves_no_process(environment, tmp_path) -> None:
    built = tmp_path / "built"
    sweep = start(environment | {"BUILD": str(built)}, tmp_path / "runs", *WAITING, "depth=4,8", "seed=0")
    wait_until(built.exists)
    family = psutil.Process(sweep.pid).children(recursive=True)
    sweep.terminate()
    _, errors = sweep.communicate(timeout=30)
    assert sweep.returncode == 128 + signal.SIGTERM, errors
    assert "interrupted by SIGTERM" in errors
    wait_until(lambda: not any(process.is_running() and process.status() != "zombie" for process in family), 20)
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def long_trials(tmp_path_factory):
    """Three trials that take a while, and what they come to undisturbed, one after another in this process."""

    class LongTrials:
        grid = (*WAITING, "depth=4", "seed=0,1,2", "trainer.max_steps=60", "run.checkpoint_every_steps=20")
        folder = tmp_path_factory.mktemp("undisturbed")

        def assert_equal(self, runs_dir: Path) -> None:
            paths = sorted(self.folder.glob("*/weights.safetensors"))
            assert len(paths) == 3
            for path in paths:
                assert (runs_dir / path.parent.name / path.name).read_bytes() == path.read_bytes()

    trials = LongTrials()
    main(["train", "-m", *TINY, f"run.runs_dir={trials.folder}", *trials.grid, "hydra/launcher=basic"])
    return trials


@pytest.mark.slow
def test_a_lost_worker_is_replaced(environment, tmp_path, long_trials) -> None:
    sweep = start(environment | {"WAIT": ""}, tmp_path, *long_trials.grid)
    wait_until(lambda: list(tmp_path.glob("*/checkpoints/*.ckpt")))
    trial = next(p for p in psutil.Process(sweep.pid).children(recursive=True) if p.ppid() not in (sweep.pid, 1))
    worker = next(p for p in trial.parents() if p.ppid() == sweep.pid)
    worker.kill()
    output, errors = sweep.communicate(timeout=180)
    assert sweep.returncode == 0, errors
    assert "a worker was killed" in output
    long_trials.assert_equal(tmp_path)
