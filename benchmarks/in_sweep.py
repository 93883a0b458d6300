"""What a trial in a sweep costs beside its steps and its evaluation.

    python benchmarks/in_sweep.py ROUNDS

Processor time of `skiplab train -m` with all its processes, for sweeps of 8 and of 48 trials of one step, and of 8 of
21 steps, in turns and without evaluators: what a further trial adds, without what a further step adds. Nothing goes to
Weights & Biases.
"""

import resource
import statistics
import subprocess
import sys
import tempfile

from judged import judged

TARGET = 0.15  # seconds
FEW, MANY = 4, 24  # seeds of two arms
ONE, MORE = 1, 21  # steps
COMMAND = (sys.executable, "-m", "skiplab", "train", "-m")
STUDY = ("experiment=residual_in_diffusion/quick", "connection=plain,identity", "long_skip=none", "depth=4")
BARE = ("evaluator=[]", "logger=none")


def processor_seconds(num_seeds: int, steps: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as runs_dir:
        words = [*STUDY, *BARE, f"seed=range({num_seeds})", f"trainer.max_steps={steps}", f"run.runs_dir={runs_dir}"]
        subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def round_of_sweeps() -> tuple[float, float]:
    """What a further trial adds beside its step, and what a further step adds."""
    few, many, longer = (processor_seconds(*each) for each in ((FEW, ONE), (MANY, ONE), (FEW, MORE)))
    step = (longer - few) / (2 * FEW * (MORE - ONE))
    return (many - few) / (2 * (MANY - FEW)) - step, step


def main(rounds: int) -> None:
    trials, steps = zip(*(round_of_sweeps() for _ in range(rounds)), strict=True)
    print(f"a step {statistics.median(steps):.4f} s")
    if judged("a trial in a sweep, beside steps and evaluation", trials, at_most=TARGET, unit=" s"):
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
