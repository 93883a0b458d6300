"""What bf16 autocast and channels-last save of a training step on a CPU, on networks for images of 28 and 32 pixels.

    python benchmarks/cpu_images.py ROUNDS

ResNet-20 on images like CIFAR-10's at batch 128, and the U-Net of width 16 on images like MNIST's at batch 64. A step
is a forward pass, a backward pass and the update; processor time of one thread, in turns, against float32 and the
contiguous layout. Images are noise: what they show changes no cost.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch
from hydra import compose, initialize_config_dir
from judged import interval
from torch import Tensor

from skiplab.data.dataset import Dataset, Split
from skiplab.paths import project_dir
from skiplab.training.build import build_model, build_objective

RESNET = (
    *("objective=cross_entropy", "backbone=resnet", "long_skip=none", "branch=basic", "branch.bias=false"),
    *("norm=batch", "activation=relu", "width=16", "depth=9"),
)
# Its words, the shape of its images, the batch.
NETWORKS = {
    "ResNet-20, 3x32x32, batch 128": (RESNET, (3, 32, 32), 128),
    "U-Net, width 16, depth 8, 1x28x28, batch 64": (("backbone=unet", "width=16"), (1, 28, 28), 64),
}
# Whether each computes in bf16 (a trial's trainer.precision=bf16-mixed), and the layout of its weights and images.
WAYS = {
    "float32": (False, torch.contiguous_format),
    "channels-last": (False, torch.channels_last),
    "bf16": (True, torch.contiguous_format),
    "bf16 and channels-last": (True, torch.channels_last),
}


class Noise(Dataset):
    """Images of noise and random labels of ten classes."""

    num_classes = 10

    def __init__(self, shape: tuple[int, ...], count: int) -> None:
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(count, *shape, generator=generator) * 2 - 1
        self.train = self.val = Split(images, torch.randint(10, (count,), generator=generator))


def stepper(
    words: tuple[str, ...], shape: tuple[int, ...], batch: int, mixed: bool, layout: torch.memory_format
) -> Callable[[], float]:
    """Processor seconds of one more step."""
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        config = compose("train", [*words, f"batch_size={batch}"])
    data = Noise(shape, batch)
    objective = build_objective(config, data)
    model = build_model(config, data, objective).train()
    model.to(memory_format=layout)  # pyright: ignore[reportCallIssue] - the stubs lack it without other arguments
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    drawn = objective.draw(*data.train.at(slice(None)), torch.Generator().manual_seed(0))
    drawn = drawn.map(lambda tensor: tensor.contiguous(memory_format=layout) if tensor.ndim == 4 else tensor)

    def loss() -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            return objective.loss_of(model, drawn).mean()

    def step() -> float:
        started = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
        return time.process_time() - started

    return step


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    print(f"{platform.machine()}, torch {torch.__version__}; {rounds} rounds, processor time of one thread")
    for name, (words, shape, batch) in NETWORKS.items():
        steps = {way: stepper(words, shape, batch, *own) for way, own in WAYS.items()}
        for step in steps.values():
            step()  # libraries choose their kernels
        taken = [{way: step() for way, step in steps.items()} for _ in range(rounds)]
        own = statistics.median(each["float32"] for each in taken)
        print(f"{name}: float32 takes {1000 * own:.0f} ms a step")
        for way in list(WAYS)[1:]:
            ratios = [each[way] / each["float32"] for each in taken]
            low, high = interval(ratios)
            print(f"    {way}: {statistics.median(ratios):.3f} times ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main(int(sys.argv[1]))
