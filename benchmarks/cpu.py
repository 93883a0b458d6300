"""What a training step takes on a CPU by threads, memory format, precision and compiler, against one plain thread.

    python benchmarks/cpu.py ROUNDS

The U-Net of a digits trial at depth 8 and batch 64, at two widths; a step is a forward pass, a backward pass and Adam,
in turns, in wall time after a first call, which is told apart: a short trial pays for it too.
"""

import copy
import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from hydra import compose, initialize_config_dir
from judged import interval
from torch import nn

from skiplab.paths import project_dir
from skiplab.training.build import build

BATCH = 64


def network(width: int) -> nn.Module:
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        return build(compose("train", [f"width={width}", "instrument=[]", "evaluator=[]"])).model.train()


def bf16() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def stepper(model: nn.Module, *, threads: int = 1, around: Callable = nullcontext) -> Callable[[], float]:
    """Wall seconds of one more step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    x, level = torch.randn(BATCH, 1, 8, 8), torch.rand(BATCH)

    def step() -> float:
        torch.set_num_threads(threads)
        started = time.monotonic()
        optimizer.zero_grad(set_to_none=True)
        with around():
            loss = model(x, level).float().square().mean()
        loss.backward()
        optimizer.step()
        return time.monotonic() - started

    return step


def main(rounds: int) -> None:
    print(f"{platform.machine()}, torch {torch.__version__}; {rounds} rounds")
    for width in (16, 64):
        model = network(width)
        steps = {
            "one thread": stepper(model),
            "two threads": stepper(copy.deepcopy(model), threads=2),
            # the stubs lack it without other arguments
            "channels_last": stepper(copy.deepcopy(model).to(memory_format=torch.channels_last)),  # pyright: ignore[reportCallIssue]
            "bf16 autocast": stepper(copy.deepcopy(model), around=bf16),
            "torch.compile": stepper(torch.compile(copy.deepcopy(model))),
        }
        first = {name: step() for name, step in steps.items()}
        taken = [{name: step() for name, step in steps.items()} for _ in range(rounds)]
        own = statistics.median(each["one thread"] for each in taken)
        print(f"width {width}: one thread takes {1000 * own:.1f} ms a step")
        for name in list(steps)[1:]:
            ratios = [each[name] / each["one thread"] for each in taken]
            low, high = interval(ratios)
            found = f"{statistics.median(ratios):.3f} times ({low:.3f} to {high:.3f})"
            print(f"    {name}: {found}; first call {first[name]:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]))
