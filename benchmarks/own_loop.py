"""What `skiplab.watch` costs a bare PyTorch loop, in a step that it doesn't measure and in one that it does.

    python benchmarks/own_loop.py ROUNDS

A convolutional network and a small perceptron, on one thread; processor time of this process, since other work may
share the machine. Watched and unwatched loops go in turns, a chunk of steps each; a ratio is that of one turn.
"""

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from judged import judged
from torch import nn

import skiplab
from skiplab.instruments.own_loop.watch import Watch

CHUNK = 100  # steps of a turn
TARGET = 1.03  # times as long
INSTRUMENTS = ("gradient_flow", "update_ratio", "activation_statistics", "gradient_noise", "stability")


def convolutional() -> tuple[nn.Module, torch.Tensor]:
    layers = [nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()) for _ in range(6)]
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), *layers, nn.Flatten(), nn.Linear(16 * 64, 10))
    return model, torch.randn(64, 1, 8, 8)


def perceptron() -> tuple[nn.Module, torch.Tensor]:
    """The smallest step: what a call in Python costs shows most."""
    return nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)), torch.randn(64, 784)


def loop(make: Callable[[], tuple[nn.Module, torch.Tensor]]) -> tuple[nn.Module, Callable[[Watch | None], float]]:
    """A network, and what takes a chunk of steps and returns their processor seconds."""
    torch.manual_seed(0)
    model, x = make()
    optimizer, labels = torch.optim.Adam(model.parameters(), lr=1e-3), torch.randint(0, 10, (len(x),))

    def chunk(watch: Watch | None) -> float:
        started = time.process_time()
        for _ in range(CHUNK):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            if watch is not None:
                watch.step(loss)
        return time.process_time() - started

    return model, chunk


def seconds(make: Callable, every: int, rounds: int, folder: Path) -> tuple[list[float], list[float]]:
    """Processor seconds of a step without and with a watch that measures every so many steps, in turns."""
    (_, plain), (model, own) = loop(make), loop(make)
    unwatched, watched = [], []
    with skiplab.watch(model, INSTRUMENTS, every=every, to=folder / f"{make.__name__}_{every}.csv") as watch:
        for turn in range(rounds + 1):
            pair = [(unwatched, plain, None), (watched, own, watch)]
            for times, chunk, given in pair if turn % 2 else pair[::-1]:
                times.append(chunk(given) / CHUNK)
    return unwatched[1:], watched[1:]  # the first turn measures and warms up


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    print(f"{platform.machine()}, torch {torch.__version__}; {rounds} rounds of {CHUNK} steps, processor time")
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for make in (convolutional, perceptron):
            plain, watched = seconds(make, 10**9, rounds, Path(folder))
            print(f"{make.__name__}: a step takes {1000 * statistics.median(plain):.3f} ms")
            ratios = [own / other for own, other in zip(watched, plain, strict=True)]
            missed += judged(f"{make.__name__}, a step off schedule", ratios, at_most=TARGET)
            plain, watched = seconds(make, 50, rounds, Path(folder))
            ratios = [own / other for own, other in zip(watched, plain, strict=True)]
            print(f"{make.__name__}, five instruments every 50 steps: {statistics.median(ratios):.3f} times")
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
