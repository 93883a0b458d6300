"""How long commands take that start no training: `skiplab --help`, and `skiplab table` of a small study.

    python benchmarks/processes.py ROUNDS

Wall time of whole processes, warm; the study is of the smallest trials, made before.
"""

import subprocess
import sys
import tempfile
import time

from judged import judged

TARGETS = {"--help": 0.3, "table small": 2.0}  # seconds
SKIPLAB = (sys.executable, "-c", "from skiplab.cli import main; main()")
STUDY = (
    "connection=plain,identity",
    "seed=0,1,2",
    "depth=4",
    "width=8",
    "norm.num_groups=4",
    "trainer.max_steps=4",
    "evaluator=[denoising_loss]",
    "logger=none",
    "run.study=small",
)


def seconds(command: list[str], folder: str) -> float:
    started = time.monotonic()
    subprocess.run([*SKIPLAB, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main(rounds: int) -> None:
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*SKIPLAB, "train", "-m", *STUDY], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        taken = {name: [seconds(name.split(), folder) for _ in range(rounds + 1)][1:] for name in TARGETS}
    for name, each in taken.items():
        missed += judged(f"skiplab {name}", each, at_most=TARGETS[name], unit=" s")
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
