"""What a training step costs in a trial against a bare loop of PyTorch on the same network, images and noise.

    python benchmarks/step.py ROUNDS [WIDTH]

A trial has its default instruments and writes its record; the bare loop draws a batch, noises it, and steps. Processor
time of one thread, the difference between a long and a short run over the difference of their steps, in turns.
"""

import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from judged import judged
from omegaconf import DictConfig, OmegaConf
from torch.nn import functional as F

from skiplab.paths import project_dir
from skiplab.training.build import build_data, build_model, build_objective
from skiplab.training.quiet import quiet
from skiplab.training.trial import run_trial

TRIAL = ("depth=8", "batch_size=128", "evaluator=[]", "logger=none", "run.checkpoint_every_steps=1000000")
TARGETS = {16: 1.05, 64: 1.03}  # by width
STEPS = {16: (20, 140), 64: (10, 40)}


def configuration(width: int, num_steps: int, folder: str) -> DictConfig:
    own = (f"width={width}", f"trainer.max_steps={num_steps}", f"run.runs_dir={Path(folder) / 'runs'}")
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        whole = compose("train", [*TRIAL, *own])
    return OmegaConf.masked_copy(whole, [name for name in whole if name != "hydra"])


def in_trial(width: int, num_steps: int) -> float:
    """Processor seconds of a trial of so many steps."""
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(width, num_steps, folder)
        started = time.process_time()
        run_trial(config, {}, progress=False)
        return time.process_time() - started


def bare(width: int, num_steps: int) -> float:
    """Processor seconds of a loop by hand: epsilon prediction on the cosine schedule, Adam."""
    config = configuration(width, num_steps, "/nowhere")
    data = build_data(config)
    model = build_model(config, data, build_objective(config, data)).train()
    images = data.train.at(slice(None)).images
    optimizer = torch.optim.Adam(model.parameters(), lr=config.optimizer.lr)
    started = time.process_time()
    for _ in range(num_steps):
        x = images[torch.randint(len(images), (config.batch_size,))]
        level, noise = 0.01 + 0.98 * torch.rand(len(x)), torch.randn_like(x)
        angle = (level * torch.pi / 2)[:, None, None, None]
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(model(angle.cos() * x + angle.sin() * noise, level), noise).backward()
        optimizer.step()
    return time.process_time() - started


def main(rounds: int, width: int) -> None:
    quiet()
    torch.set_num_threads(1)
    short, long = STEPS[width]
    taken = {function: [] for function in (bare, in_trial)}
    for _ in range(rounds + 1):  # the first round pays for imports and allocations
        for function, seconds in taken.items():
            seconds.append((function(width, long) - function(width, short)) / (long - short))
    ratios = [a / b for a, b in list(zip(taken[in_trial], taken[bare], strict=True))[1:]]
    print(f"width {width}: {' '.join(TRIAL[:2])}; {rounds} rounds, {platform.machine()}, torch {torch.__version__}")
    print(f"bare {1000 * statistics.median(taken[bare][1:]):.1f} ms a step")
    if judged("a trial's step over the bare one", ratios, at_most=TARGETS[width]):
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 16)
