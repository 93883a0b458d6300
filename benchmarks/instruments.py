"""What instruments cost at their default schedules: whole trials with and without them, in turns, in one process.

    python benchmarks/instruments.py ROUNDS INSTRUMENTS

INSTRUMENTS is a list such as gradient_flow,update_ratio, or 'all'.

Prints the ratio of the medians and the spread of the rounds' own ratios; nothing else should run meanwhile.
"""

import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from skiplab.paths import project_dir
from skiplab.training.quiet import quiet
from skiplab.training.trial import run_trial

TRIAL = ("depth=8", "width=16", "batch_size=64", "trainer.max_steps=200", "evaluator=[]", "logger=none")


def seconds(instruments: str, seed: int) -> float:
    """Processor time of one trial in a running process; it waits for nothing, and what else runs is not counted."""
    with tempfile.TemporaryDirectory() as runs_dir, initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        measured = (f"instrument=[{instruments}]", f"seed={seed}", f"run.runs_dir={Path(runs_dir) / 'runs'}")
        config = compose("train", [*TRIAL, *measured])
        config = OmegaConf.masked_copy(config, [name for name in config if name != "hydra"])
        started = time.process_time()
        run_trial(config, {}, progress=False)
        return time.process_time() - started


def main(rounds: int, instruments: str) -> None:
    quiet()
    if instruments == "all":
        instruments = ",".join(sorted(path.stem for path in (project_dir("conf") / "instrument").glob("*.yaml")))
    arms = {"without": "", "with": instruments}
    for chosen in arms.values():
        seconds(chosen, seed=0)  # the first trial of a process pays for imports and allocations
    taken = {arm: [] for arm in arms}
    for seed in range(1, rounds + 1):
        for arm, chosen in arms.items():
            taken[arm].append(seconds(chosen, seed))
    ratios = [a / b for a, b in zip(taken["with"], taken["without"], strict=True)]
    middle = {arm: statistics.median(values) for arm, values in taken.items()}
    print(f"{instruments}: {' '.join(TRIAL)}; {rounds} rounds, one thread")
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}")
    print(f"without {middle['without']:.2f} s, with {middle['with']:.2f} s a trial (medians)")
    print(f"ratio {middle['with'] / middle['without']:.3f}; rounds from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
