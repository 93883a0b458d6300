"""What a trial in a sweep costs beside its steps and its evaluation.

    python benchmarks/in_sweep.py ROUNDS

Processor time of `skiplab train -m` with all its processes, for sweeps of 8 and of 48 trials of one step and no
evaluator in turns; what a further trial adds, its one step included. Nothing goes to Weights & Biases.
"""

import resource
import subprocess
import sys
import tempfile

from judged import judged

TARGET = 0.15  # seconds
FEW, MANY = 4, 24  # seeds of two arms
COMMAND = (sys.executable, "-m", "skiplab", "train", "-m")
STUDY = ("experiment=residual_in_diffusion/quick", "connection=plain,identity", "long_skip=none", "depth=4")
BARE = ("trainer.max_steps=1", "evaluator=[]", "logger=none")


def processor_seconds(num_seeds: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as runs_dir:
        words = [*STUDY, *BARE, f"seed=range({num_seeds})", f"run.runs_dir={runs_dir}"]
        subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(rounds: int) -> None:
    trials = 2 * (MANY - FEW)
    each = [(processor_seconds(MANY) - processor_seconds(FEW)) / trials for _ in range(rounds)]
    if judged("a trial in a sweep, beside steps and evaluation", each, at_most=TARGET, unit=" s"):
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
