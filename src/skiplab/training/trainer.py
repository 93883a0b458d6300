"""The Lightning trainer of a trial."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment

from skiplab.training.atomic_checkpoint import AtomicCheckpoint
from skiplab.training.checkpoints import KEPT
from skiplab.training.ranks.ranks import MeanGradient, MeanLoss, RankEnvironment, RankStrategy


def make_trainer(
    callbacks: Sequence[pl.Callback],
    logger: Logger | None,
    checkpoints: Path,
    checkpoint_every_steps: int,
    progress: bool,
    *,
    accelerator: str,
    precision: str,
    max_steps: int,
    gradient_clip_norm: float | None,
) -> pl.Trainer:
    """A trainer of exactly `max_steps` steps that keeps the latest checkpoints alone.

    Args:
        callbacks: recorder and observer (runtime).
        logger: W&B's, or None (runtime).
        checkpoints: where checkpoints go (runtime).
        checkpoint_every_steps: steps between two of them (runtime).
        progress: whether to draw a progress bar (runtime).
        accelerator: 'cpu' or 'gpu'.
        precision: Lightning's name, such as '32-true' or 'bf16-mixed'.
        max_steps: optimizer steps, from 1.
        gradient_clip_norm: bound of the whole gradient's norm; None for no clipping.
    """
    return pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        gradient_clip_val=gradient_clip_norm,
        callbacks=[*callbacks, _latest_checkpoints(checkpoints, checkpoint_every_steps)],
        plugins=[LightningEnvironment(), AtomicCheckpoint()],
        **_common(max_steps, logger, progress),
    )


def make_ddp_trainer(
    callbacks: Sequence[pl.Callback],
    logger: Logger | None,
    checkpoints: Path,
    checkpoint_every_steps: int,
    progress: bool,
    *,
    accelerator: str,
    precision: str,
    max_steps: int,
    gradient_clip_norm: float | None,
    devices: int,
    backend: str,
) -> pl.Trainer:
    """The trainer of one rank of several, within `process_group.together`; a rank has one process and device.

    Each rank computes the gradient of its own rows of the batch, and the mean over ranks is the whole batch's:

        dL/dW = 1/R sum over ranks r of dL_r/dW,   L_r the mean loss of rank r's batch_size / R rows.

    The result is the single process's up to the rounding of sums, unless the network is random in training (dropout,
    stochastic depth): each rank then draws its own. Instruments run on rank 0: gradients of weights are the whole
    batch's, while activations and their gradients are those of rank 0's rows and of L_0. All ranks are on one machine.

    Source: Li et al. 2020, PyTorch Distributed, arXiv:2006.15704, section 3.
    Differs from the source: gradients are added up after the backward pass, not while it runs, see MeanGradient.

    Args:
        callbacks: as of `make_trainer` (runtime).
        logger: on rank 0 (runtime).
        checkpoints: as of `make_trainer`; rank 0 writes them (runtime).
        checkpoint_every_steps: as of `make_trainer` (runtime).
        progress: as of `make_trainer` (runtime).
        accelerator: 'cpu' or 'gpu', then rank r takes GPU r.
        precision: as of `make_trainer`.
        max_steps: as of `make_trainer`.
        gradient_clip_norm: as of `make_trainer`; of the mean gradient.
        devices: ranks R, from 1, of which batch_size is a multiple.
        backend: 'gloo' or, on GPUs, 'nccl'.
    """
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        precision=precision,
        gradient_clip_val=gradient_clip_norm,
        callbacks=[MeanGradient(), MeanLoss(), *callbacks, _latest_checkpoints(checkpoints, checkpoint_every_steps)],
        plugins=[RankEnvironment(), AtomicCheckpoint()],
        strategy=RankStrategy(backend),
        **_common(max_steps, logger, progress),
    )


def _latest_checkpoints(folder: Path, every_steps: int) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder,
        filename="{step}",
        every_n_train_steps=every_steps,
        save_on_train_epoch_end=False,
        monitor="step",
        mode="max",
        save_top_k=KEPT,
    )


def _common(max_steps: int, logger: Logger | None, progress: bool) -> dict[str, Any]:
    """What any number of devices have in common."""
    torch.utils.deterministic.fill_uninitialized_memory = False  # else each new tensor is filled first
    return {
        "max_steps": max_steps,
        "logger": logger or False,
        "deterministic": True,
        "enable_progress_bar": progress,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
