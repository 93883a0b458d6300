"""The evaluation batch: fixed images, times and noise, the same for every trial, so that losses are comparable."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.data.dataset import Split
from skiplab.errors import SkiplabError
from skiplab.objectives.denoising import Denoising, Noised
from skiplab.seeding import keyed_generator


class EvalBatch:
    """The first `num_images` images of a split, each at every one of `num_levels` noise levels.

    The levels are the middles of equal bands of the training times. The noise depends only on the split and the
    level, so all trials on the same data are measured at the same noise.

    Args:
        num_images: images of a split; all of them if it has fewer.
        num_levels: noise levels.

    Raises:
        SkiplabError: if either is below 1.
    """

    def __init__(self, *, num_images: int, num_levels: int) -> None:
        if num_images < 1 or num_levels < 1:
            raise SkiplabError(
                f"eval_batch.num_images={num_images}, eval_batch.num_levels={num_levels} is invalid; "
                "valid: whole numbers from 1"
            )
        self.num_images, self.num_levels = num_images, num_levels

    def count(self, split: Split) -> int:
        """The number of images that it takes from a split."""
        return min(self.num_images, len(split))

    def noised(self, objective: Denoising, split: Split, name: str) -> list[tuple[Tensor, Tensor, Noised]]:
        """For each level, from clean to noisy: the clean images, the noise, and the network's inputs and target."""
        x0, labels = split.first(self.num_images)
        levels = []
        for index, time in enumerate(objective.noise_schedule.levels(self.num_levels)):
            generator = keyed_generator(0, f"probe/{name}", index)
            noise = torch.randn(x0.shape, generator=generator).to(x0.device)
            levels.append((x0, noise, objective.noised(x0, noise, time.to(x0.device).expand(len(x0)), labels)))
        return levels

    def weights(self, objective: Denoising) -> Float[Tensor, " level"]:
        """The training loss's weight of each level."""
        times = objective.noise_schedule.levels(self.num_levels)
        return objective.weight(times).double()


def inputs_per_call(device: torch.device, shape: Sequence[int]) -> int:
    """How many inputs of this shape go through the network at once.

    On a CPU, few enough for a small stream to stay in a core's cache, as measured in benchmarks/README.md.
    """
    if device.type != "cpu":
        return 1024
    return 128 if math.prod(shape[1:]) <= 16 * 16 else 64


@torch.no_grad()
def outputs(objective: Denoising, model: nn.Module, noised: Noised) -> Tensor:
    """The network's output for all inputs, computed in batches."""
    size = inputs_per_call(noised.x_t.device, noised.x_t.shape[1:])
    parts = zip(*(part.split(size) for part in (noised.x_t, noised.time, noised.labels)), strict=True)
    return torch.cat([objective.predict(model, *part) for part in parts])
