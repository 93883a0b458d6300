"""What part of a trial its evaluation takes, at the defaults.

    python benchmarks/evaluation.py ROUNDS [OVERRIDE ...]

A round is three trials of 5 steps, of 45 and of 5 without evaluators, which give the seconds of a step and of the
evaluation; the share is that of a trial with the default number of steps. Overrides choose other data, such as
data=mnist with data.path=FOLDER. Processor time of one process.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from judged import judged
from omegaconf import DictConfig

from skiplab.paths import project_dir
from skiplab.sweeps.job import Job
from skiplab.training.quiet import quiet
from skiplab.training.trial import run_trial

TARGET = 0.15
FEW, MORE = 5, 45  # steps


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        return compose("train", ["logger=none", *overrides], return_hydra_config=True)


def seconds(*overrides: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        job = Job.composed(composed(*overrides, f"run.runs_dir={Path(folder) / 'runs'}"))
        started = time.process_time()
        run_trial(job.config, job.choices, progress=False)
        return time.process_time() - started


def main(rounds: int, overrides: list[str]) -> None:
    quiet()
    torch.set_num_threads(1)
    steps = composed(*overrides).trainer.max_steps
    shares, evaluations, of_steps = [], [], []
    for seed in range(rounds + 1):
        few = (*overrides, f"seed={seed}", f"trainer.max_steps={FEW}")
        without = seconds(*few, "evaluator=[]")
        evaluations.append(seconds(*few) - without)
        of_steps.append((seconds(*few, f"trainer.max_steps={MORE}", "evaluator=[]") - without) / (MORE - FEW))
        shares.append(evaluations[-1] / (without + (steps - FEW) * of_steps[-1] + evaluations[-1]))
    what = " ".join(word for word in overrides if "path" not in word) or "digits"
    print(f"evaluation {statistics.median(evaluations[1:]):.2f} s, a step {statistics.median(of_steps[1:]):.4f} s")
    if judged(f"evaluation's share of a trial of {steps} steps, {what}", shares[1:], at_most=TARGET):
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
