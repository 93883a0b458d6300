"""Batches and noise of a LightningModule as a function of (seed, epoch, batch), so that a trial can be resumed."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden

from skiplab.errors import SkiplabError
from skiplab.seeding import keyed_seed, seed_globally

_STATE = "batches"  # its key in a checkpoint


class KeyedBatches(pl.Callback):
    """Seeds all global generators before each batch is loaded and before each step.

    What a data loader draws from them (the order, augmentations, seeds of its workers) and what the module draws
    (dropout, noise) then depends on nothing before. A resumed trial loads the batches of its epoch that it has trained
    on, and leaves them out. Generators of a loader's own are seeded at the start of each epoch.

    Args:
        seed: the trial's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._epoch = self._num_done = 0
        self._resumed = (0, 0)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        given = getattr(trainer, "datamodule", None)
        parent = pl.LightningModule if given is None else pl.LightningDataModule
        source: Any = pl_module if given is None else given
        if not is_overridden("train_dataloader", source, parent):
            raise SkiplabError(
                f"{type(source).__name__} has no train_dataloader; define it, or give study(datamodule=...) a "
                "LightningDataModule that has one"
            )
        make = source.train_dataloader
        source.train_dataloader = lambda: keyed_loader(make(), self, trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        seed_everything(keyed_seed(self.seed, f"step/{trainer.current_epoch}", self._num_done), pl_module.device)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch, self._num_done = trainer.current_epoch, self.skipped(trainer.current_epoch)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._num_done += 1

    def skipped(self, epoch: int) -> int:
        """How many batches of an epoch were trained on before the trial was resumed."""
        return self._resumed[1] if self._resumed[0] == epoch else 0

    def state_dict(self) -> dict[str, Any]:
        return {_STATE: [self._epoch, self._num_done]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        epoch, num_done = state_dict[_STATE]
        self._resumed = (epoch, num_done)
        self._epoch, self._num_done = epoch, num_done


class KeyedLoader:
    """A train loader whose batches depend on (seed, epoch, number) alone.

    Args:
        loader: the module's.
        batches: knows the seed, and what was trained on before.
        trainer: knows the epoch.
    """

    def __init__(self, loader: Any, batches: KeyedBatches, trainer: pl.Trainer) -> None:
        if isinstance(loader, dict | list | tuple):
            raise SkiplabError(
                f"train_dataloader returns a {type(loader).__name__}; a trial that can be resumed needs one loader"
            )
        self._loader, self._batches, self._trainer = loader, batches, trainer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_loader"], name)

    def __iter__(self) -> Iterator[Any]:
        epoch = self._trainer.current_epoch
        seed = self._batches.seed
        for generator in _generators(self._loader):
            generator.manual_seed(keyed_seed(seed, "generator", epoch))
        seed_everything(keyed_seed(seed, f"batch/{epoch}"))
        found, number, skipped = iter(self._loader), 0, self._batches.skipped(epoch)
        while True:
            seed_everything(keyed_seed(seed, f"batch/{epoch}", number))
            try:
                batch = next(found)
            except StopIteration:
                return
            if number >= skipped:
                yield batch
            number += 1


class _SizedLoader(KeyedLoader):
    """One that says how many batches it has."""

    def __len__(self) -> int:
        return len(self._loader)


def keyed_loader(loader: Any, batches: KeyedBatches, trainer: pl.Trainer) -> KeyedLoader:
    """A KeyedLoader, which has a length if the module's loader has one."""
    return (_SizedLoader if hasattr(loader, "__len__") else KeyedLoader)(loader, batches, trainer)


def seed_everything(seed: int, device: torch.device | str = "cpu") -> None:
    """Seed the global generators of torch, NumPy and Python."""
    seed_globally(seed, device)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the one that others' code draws from
    random.seed(seed)


def _generators(loader: Any) -> Iterable[torch.Generator]:
    """Those of a DataLoader and of its samplers."""
    samplers = [loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)]
    samplers.append(getattr(samplers[-1], "sampler", None))
    found = (getattr(each, "generator", None) for each in samplers)
    return dict.fromkeys(each for each in found if isinstance(each, torch.Generator))
