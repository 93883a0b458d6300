"""Trials per minute of three ways to train the same digits study, in turns in one run.

    python benchmarks/sweeps.py SEEDS

cores: `skiplab train -m`, a worker per core, one thread each. basic: Hydra's own launcher in one process, with two
threads. loop: a shell loop, a process with two threads per trial; every seventh trial stands for the grid. The order is
cores, basic, loop, cores, so that a drifting machine favours neither. Each way is timed from the command to its end,
imports included; SEEDS seeds give 12 trials each. Nothing else should run meanwhile.
"""

import itertools
import platform
import subprocess
import sys
import tempfile
import time

import torch

PRESET = "experiment=residual_in_diffusion/quick"
GRID = {"connection": ("plain", "identity"), "long_skip": ("concat", "none"), "depth": (4, 8, 16)}
EVERY = 7  # of the trials, one that the loop trains; prime to the sides of the grid, so that depths come equally often
COMMAND = (sys.executable, "-c", "from skiplab.cli import main; main()", "train")


def seconds(commands: list[list[str]]) -> float:
    """Wall time of commands one after the other, on an empty folder of records."""
    with tempfile.TemporaryDirectory() as runs_dir:
        started = time.monotonic()
        for command in commands:
            subprocess.run([*COMMAND, *command, f"run.runs_dir={runs_dir}"], check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - started


def main(num_seeds: int) -> None:
    seeds = range(11, 11 + num_seeds)
    grid = [f"{name}={','.join(map(str, values))}" for name, values in GRID.items()]
    trials = [dict(zip((*GRID, "seed"), values, strict=True)) for values in itertools.product(*GRID.values(), seeds)]
    sweep = ["-m", PRESET, *grid, f"seed={','.join(map(str, seeds))}"]
    single = [
        [PRESET, "hydra.mode=RUN", "num_threads=2", *(f"{name}={value}" for name, value in trial.items())]
        for trial in trials[::EVERY]
    ]
    taken = {"cores": [seconds([sweep])]}
    taken["basic"] = [seconds([[*sweep, "hydra/launcher=basic", "num_threads=2"]])]
    taken["loop"] = [seconds(single) * len(trials) / len(single)]
    taken["cores"].append(seconds([sweep]))
    rates = {way: 60 * len(trials) * len(times) / sum(times) for way, times in taken.items()}
    print(f"{PRESET}, {len(trials)} trials; the loop's from {len(single)} of them")
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}")
    for way, times in taken.items():
        print(f"{way}: {rates[way]:.2f} trials a minute ({', '.join(f'{each:.0f} s' for each in times)})")
    print(f"cores over basic {rates['cores'] / rates['basic']:.2f}, over the loop {rates['cores'] / rates['loop']:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
