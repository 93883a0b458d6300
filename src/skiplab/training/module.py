"""The one LightningModule: a step is a pure function of the weights, the seed and the step's number."""

from collections.abc import Callable, Iterable

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from skiplab.data.augmentation import Augmentation
from skiplab.data.dataset import Split
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator, keyed_seed, seed_globally
from skiplab.training.batches import Batches


class AblationModule(pl.LightningModule):
    """Trains a model on resident images.

    The images of a step, its times and its noise come from generators keyed by (seed, purpose, step);
    randomness inside the model draws from the global generators, reseeded from (seed, step) at each step. So
    two arms see the same data and noise, and a resumed trial is the same as an unbroken one.

    Of several ranks each draws for the whole batch and computes on its own rows, so that together they train on what
    one alone would. Randomness inside the model then comes from (seed, step, rank), and differs from one rank's.

    Args:
        model: the network.
        objective: gives each sample's loss.
        split: the training split, moved to the trainer's device unless it lies in a file.
        augmentation: changes each training batch.
        batch_size: images a step.
        seed: the trial's seed.
        optimizer: makes an optimizer for parameters.
        scheduler: makes a learning-rate scheduler for an optimizer and the number of steps.
    """

    watched = False  # whether instruments look into the step that is about to begin

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        split: Split,
        *,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        scheduler: Callable[[torch.optim.Optimizer, int], torch.optim.lr_scheduler.LRScheduler],
    ) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self.split, self.augmentation = split, augmentation
        self.batches = Batches(len(split), batch_size, seed)
        self.seed = seed
        self._optimizer, self._scheduler = optimizer, scheduler

    def train_dataloader(self) -> Iterable[int]:
        """Step numbers, which stand in for batches: `training_step` finds its images by `global_step`."""
        return range(self.trainer.max_steps)

    def on_fit_start(self) -> None:
        self.split = self.split.to(self.device)

    def training_step(self, batch: int, batch_index: int) -> Tensor:
        return self.mean_loss(*self.draw(self.global_step))

    def mean_loss(self, *drawn: Tensor | None) -> Tensor:
        """The loss of what was drawn for a step."""
        return self.objective.loss_of(self.model, *drawn).mean()

    def draw(self, step: int) -> list[Tensor | None]:
        """This rank's rows of all that a step is a function of beside the weights; seeds what the model draws."""
        images, labels = self.split.at(self.batches.indices(step))
        augment = keyed_generator(self.seed, "augmentation", step, device=self.device)
        rank = self.global_rank
        seed_globally(keyed_seed(self.seed, f"model/{rank}" if rank else "model", step), self.device)
        generator = keyed_generator(self.seed, "noise", step, device=self.device)
        drawn = self.objective.draw(self.augmentation(images, augment), labels, generator)
        num_rows = len(images) // self.trainer.world_size
        rows = slice(rank * num_rows, (rank + 1) * num_rows)
        return [None if part is None else part[rows] for part in drawn]

    def configure_optimizers(self):
        optimizer = self._optimizer(self.model.parameters())
        scheduler = self._scheduler(optimizer, self.trainer.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
