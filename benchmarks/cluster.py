"""What thousands of trials ask of a cluster: scheduled through a real SLURM, by trials that only sleep.

    python benchmarks/cluster.py TRIALS TRIALS_PER_JOB SECONDS

Starts a private SLURM of one node, with 64 processors on paper, and sends it `skiplab train -m` with
hydra/launcher=skiplab_slurm. Each trial sleeps SECONDS and leaves a finished record; all else is what a study meets:
the composition and check of the grid, the array of jobs, locks, records, the wait for results. Needs root and the
packages slurm-wlm and munge. All jobs share the real cores of this machine, so it shows what breaks, and not how fast
a cluster is.

Prints when the first trial began and the last ended, and the share of that time that the jobs slept; what the sweep's
own process used; and that the same command finds nothing left to do.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from slurm_cluster import Cluster, missing  # noqa: E402 - of the tests

PROCESSORS = 64
STUDY = ("experiment=residual_in_diffusion/quick", "depth=4", "connection=plain,identity", "long_skip=none")
BARE = ("evaluator=[]", "instrument=[]", "logger=none", "run.study=sleeping")


def command(runs_dir: Path, trials: int, trials_per_job: int) -> list[str]:
    launcher = ("hydra/launcher=skiplab_slurm", f"hydra.launcher.trials_per_job={trials_per_job}")
    words = [*STUDY, *BARE, f"seed=range({trials // 2})", f"run.runs_dir={runs_dir}", *launcher]
    return [sys.executable, str(Path(__file__).with_name("sleeping_trials.py")), *words]


def run(words: Sequence[str], cluster: Cluster) -> tuple[float, float, float, str]:
    """Wall and processor seconds and MiB of a sweep's process, and what it printed."""
    began = time.monotonic()
    ended = subprocess.Popen(words, env=cluster.environment, stdout=subprocess.PIPE, encoding="utf-8")
    assert ended.stdout is not None
    printed = ended.stdout.read()
    _, status, used = os.wait4(ended.pid, 0)
    if status:
        sys.exit(f"the sweep failed:\n{printed}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, printed


def main(trials: int, trials_per_job: int, seconds: float) -> None:
    if absent := missing():
        sys.exit(f"no cluster can be started here: {absent}")
    jobs = math.ceil(trials / trials_per_job)
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, tempfile.TemporaryDirectory() as runs_dir:
        cluster = Cluster(Path(folder), processors=PROCESSORS)
        cluster.environment["SLEEP"] = str(seconds)
        cluster.environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
        try:
            cluster.start()
            words = command(Path(runs_dir), trials, trials_per_job)
            began = datetime.now().astimezone()
            wall, processor, memory, printed = run(words, cluster)
            records = [json.loads(path.read_text(encoding="utf-8")) for path in Path(runs_dir).glob("*/record.json")]
            again = run(words, cluster)
        finally:
            cluster.stop()
    times = [
        datetime.fromisoformat(record["provenance"][name]) for record in records for name in ("started", "finished")
    ]
    first, last = (min(times) - began).total_seconds(), (max(times) - began).total_seconds()
    busy = trials * seconds / (min(jobs, PROCESSORS) * (last - first))
    print(_last(printed))
    print(f"{trials:,} trials of {seconds:g} s in {jobs:,} jobs on {PROCESSORS} processors: {len(records):,} records")
    print(f"  seconds until the first trial began {first:.0f}, the last ended {last:.0f}, the command ended {wall:.0f}")
    print(f"  of the time in between, jobs slept {busy:.0%}; here are {os.cpu_count()} real cores")
    print(f"  the sweep's own process: {processor:.0f} s of processor time, {memory:.0f} MiB")
    print(f"  the same command again: {again[0]:.0f} s, {again[1]:.0f} s of processor time: {_last(again[3])}")


def _last(printed: str) -> str:
    return printed.strip().splitlines()[-1]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
