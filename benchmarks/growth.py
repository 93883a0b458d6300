"""How a training step's time and memory grow with depth, 4 to 128 blocks: a straight line, fitted.

    python benchmarks/growth.py ROUNDS

Processor time of a forward and a backward pass on one thread, at width 16 and batch 16, depths in turns; memory is what
is kept for the backward pass, as every record has it. Then the same at batch 512 in processes of their own, without
bridges: the most memory that such a process has had (Linux only), as it is and with run.activation_checkpointing,
where it is a line in the root of depth.
"""

import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir

from skiplab.paths import project_dir
from skiplab.training.build import build

DEPTHS = (4, 8, 16, 32, 64, 128)
BATCH, LARGE_BATCH = 16, 512
LEAST = 0.99  # share of the variance that the line explains


def parts(depth: int, *overrides: str):
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        return build(compose("train", [f"depth={depth}", "instrument=[]", "evaluator=[]", *overrides]))


def seconds(model, x: torch.Tensor, level: torch.Tensor) -> float:
    started = time.process_time()
    model(x, level).square().mean().backward()
    return time.process_time() - started


def peaks(checkpointing: str) -> tuple[list[float], list[float]]:
    """MiB that this process has had at most, and seconds, of a pass there and back at ever larger depths."""
    torch.set_num_threads(1)
    x, level = torch.randn(LARGE_BATCH, 1, 8, 8), torch.rand(LARGE_BATCH)
    found, taken = [], []
    for depth in DEPTHS:
        model = parts(depth, "long_skip=none", f"run.activation_checkpointing={checkpointing}").model.train()
        taken.append(seconds(model, x, level))
        account = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
        found.append(int(account["VmHWM"].split()[0]) / 2**10)
    return found, taken


def line(name: str, values: list[float], unit: str, of: str = "depth", power: float = 1) -> bool:
    """Print the fit; whether it is good."""
    x = np.array(DEPTHS) ** power
    slope, base = np.polyfit(x, values, deg=1)
    residuals = np.array(values) - (base + slope * x)
    explained = 1 - residuals.var() / np.var(values)
    print(f"{name}: {base:.3g} + {slope:.3g} x {of} {unit}, R^2 {explained:.4f}, target {LEAST}")
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
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # what is freed goes back at once
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        (kept, own), (again, slower) = processes.map(peaks, ("false", "true"))
    print("MiB, all kept", *(f"{each:.0f}" for each in kept))
    print("MiB, checkpointed", *(f"{each:.0f}" for each in again))
    good += [line("all kept", kept, "MiB"), line("checkpointed", again, "MiB", of="root of depth", power=0.5)]
    print(f"checkpointed, a pass at depth {DEPTHS[-1]} takes {slower[-1] / own[-1]:.2f} times as long")
    if not all(good):
        sys.exit("not a line")


if __name__ == "__main__":
    main(int(sys.argv[1]))
