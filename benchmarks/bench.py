"""Every benchmark that has a target, one after the other; exits non-zero where one is missed.

python benchmarks/bench.py [FOLDER]

FOLDER holds the images of MNIST and CIFAR-10, in mnist/ and cifar10/. Without it the evaluations on them aren't run.
"""

import os
import subprocess
import sys
from pathlib import Path

# Each with the rounds that make its figure steady.
COMMANDS = (
    ("step.py", "9", "16"),
    ("step.py", "5", "64"),
    ("gradient_norms.py", "5"),
    ("trial.py", "7"),
    ("evaluation.py", "5"),
    ("in_sweep.py", "3"),
    ("processes.py", "5"),
    ("start.py", "5"),
    ("reading.py", "10000"),
    ("frechet.py", "3"),
    ("growth.py", "9"),
    ("surgery.py", "40"),
    ("surgery_costs.py", "100"),
    ("own_loop.py", "15"),
    ("busy.py",),
    ("cpu.py", "15"),
    ("gpu.py", "3"),
)


def main(images: str | None = None) -> None:
    missed = []
    for name, *arguments in [*COMMANDS, *on_images(images)]:
        command = " ".join([name, *arguments])
        print(f"== {command}", flush=True)
        script = [sys.executable, Path(__file__).parent / name, *arguments]
        ended = subprocess.run(script, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
        missed += [command] if ended.returncode else []
    if missed:
        sys.exit(f"missed, or broken: {', '.join(missed)}")
    print("no target is missed")


def on_images(folder: str | None) -> list[tuple[str, ...]]:
    if folder is None:
        print("not run: the evaluation on MNIST and CIFAR-10, which make bench DATA=FOLDER measures")
        return []
    return [
        ("evaluation.py", rounds, f"data={name}", f"data.path={folder}/{name}")
        for name, rounds in (("mnist", "5"), ("cifar10", "31"))
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
