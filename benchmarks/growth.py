"""How a training step's time and memory grow with depth, 4 to 128 blocks: a straight line, fitted.

    python benchmarks/growth.py ROUNDS

Processor time of a forward and a backward pass on one thread, at width 16 and batch 16; memory is what is kept for the
backward pass, as every record has it. Depths in turns.
"""

import statistics
import sys
import time

import numpy as np
import torch
from hydra import compose, initialize_config_dir

from skiplab.paths import project_dir
from skiplab.training.build import build

DEPTHS = (4, 8, 16, 32, 64, 128)
BATCH = 16
LEAST = 0.99  # share of the variance that the line explains


def parts(depth: int):
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        return build(compose("train", [f"depth={depth}", "instrument=[]", "evaluator=[]"]))


def seconds(model, x: torch.Tensor, level: torch.Tensor) -> float:
    started = time.process_time()
    model(x, level).square().mean().backward()
    return time.process_time() - started


def line(name: str, values: list[float], unit: str) -> bool:
    """Print the fit; whether it is good."""
    slope, base = np.polyfit(DEPTHS, values, deg=1)
    residuals = np.array(values) - (base + slope * np.array(DEPTHS))
    explained = 1 - residuals.var() / np.var(values)
    print(f"{name}: {base:.3g} + {slope:.3g} x depth {unit}, R^2 {explained:.4f}, target {LEAST}")
    return explained >= LEAST


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    made = {depth: parts(depth) for depth in DEPTHS}
    x, level = torch.randn(BATCH, 1, 8, 8), torch.rand(BATCH)
    taken = {depth: [] for depth in DEPTHS}
    for _ in range(rounds + 1):
        for depth, found in made.items():
            taken[depth].append(seconds(found.model, x, level))
    times = [1000 * statistics.median(each[1:]) for each in taken.values()]
    print("depth", *DEPTHS)
    print("ms", *(f"{each:.1f}" for each in times))
    memory = [found.costs["activation_bytes_per_sample"] / 2**10 for found in made.values()]
    print("KiB a sample", *(f"{each:.0f}" for each in memory))
    good = [line("time", times, "ms"), line("memory", memory, "KiB a sample")]
    if not all(good):
        sys.exit("not a line")


if __name__ == "__main__":
    main(int(sys.argv[1]))
