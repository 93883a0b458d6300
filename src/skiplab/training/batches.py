"""The images of each training step, as a pure function of (seed, step)."""

import torch
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.seeding import keyed_generator


class Batches:
    """Batches of indices; each epoch is a new permutation, without its incomplete last batch.

    Args:
        num_samples: number of images in the training split.
        batch_size: images per step, from 1 to num_samples.
        seed: the trial's seed.
    """

    def __init__(self, num_samples: int, batch_size: int, seed: int) -> None:
        if not 1 <= batch_size <= num_samples:
            raise SkiplabError(
                f"batch_size={batch_size} is invalid; valid: 1 to {num_samples}, the number of training images"
            )
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed
        self.steps_per_epoch = num_samples // batch_size
        self._epoch, self._order = -1, torch.empty(0)

    def indices(self, step: int) -> Tensor:
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = keyed_generator(self.seed, "order", epoch)
            self._epoch, self._order = epoch, torch.randperm(self.num_samples, generator=generator)
        start = position * self.batch_size
        return self._order[start : start + self.batch_size]
