"""What a trial takes beside its steps, and what its evaluation takes, in a running process.

    python benchmarks/trial.py ROUNDS

Beside the steps: to compose, build, open and close an offline Weights & Biases run, and write the record, with one step
and no evaluator. The evaluation: that of a trial of the demo (depth 8), at its size there, against the whole trial.
Wall time, as these wait for files and for the run's own process.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from judged import judged

from skiplab.paths import project_dir
from skiplab.records.plain_config import plain
from skiplab.sweeps.job import Job
from skiplab.training.quiet import quiet
from skiplab.training.trial import run_trial
from skiplab.training.warm import warm

AROUND = 0.5  # seconds
EVALUATION = 0.2  # of the trial
DEMO = ("experiment=residual_in_diffusion/quick", "depth=8")


def seconds(seed: int, *overrides: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
            own = (f"seed={seed}", f"run.runs_dir={Path(folder) / 'runs'}")
            job = Job.composed(compose("train", [*overrides, *own], return_hydra_config=True))
        if seed == 0:
            warm(plain(job.config, resolve=False))
        run_trial(job.config, job.choices, progress=False)
        return time.monotonic() - started


def main(rounds: int) -> None:
    quiet()
    torch.set_num_threads(1)
    around, demo, without = [], [], []
    for seed in range(rounds + 1):
        around.append(seconds(seed, "trainer.max_steps=1", "evaluator=[]"))
        demo.append(seconds(seed, *DEMO))
        without.append(seconds(seed, *DEMO, "evaluator=[]"))
    shares = [(whole - less) / whole for whole, less in list(zip(demo, without, strict=True))[1:]]
    print(f"a trial of the demo takes {statistics.median(demo[1:]):.2f} s")
    missed = judged("around the steps", around[1:], at_most=AROUND, unit=" s")
    missed += judged("evaluation's share of a trial of the demo", shares, at_most=EVALUATION)
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
