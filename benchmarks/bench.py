"""Every benchmark that has a target, one after the other; exits non-zero where one is missed.

python benchmarks/bench.py
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


def main() -> None:
    missed = []
    for name, *rounds in COMMANDS:
        command = " ".join([name, *rounds])
        print(f"== {command}", flush=True)
        script = [sys.executable, Path(__file__).parent / name, *rounds]
        ended = subprocess.run(script, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
        missed += [command] if ended.returncode else []
    if missed:
        sys.exit(f"missed, or broken: {', '.join(missed)}")
    print("no target is missed")


if __name__ == "__main__":
    main()
