"""The Lightning trainer of a trial."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch.utils.deterministic
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment

from skiplab.training.atomic_checkpoint import AtomicCheckpoint
from skiplab.training.checkpoints import MAX_CHECKPOINTS
from skiplab.training.ranks.ranks import MeanGradient, MeanLoss, RankEnvironment, RankStrategy

_Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


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
    """A trainer of exactly `max_steps` steps that keeps only the latest checkpoints.

    Args:
        callbacks: recorder, observer and others (runtime).
        logger: of W&B, or None (runtime).
        checkpoints: the folder for checkpoints (runtime).
        checkpoint_every_steps: number of steps between two checkpoints (runtime).
        progress: whether to show a progress bar (runtime).
        accelerator: 'cpu' or 'gpu'.
        precision: '32-true', '16-mixed' or 'bf16-mixed'.
        max_steps: number of optimizer steps, from 1.
        gradient_clip_norm: the largest norm of the whole gradient; None for no clipping.
    """
    return pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=cast(_Precision, precision),
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
    """The trainer of one of several ranks, within `process_group.together`; a rank has one process and one device.

    Each rank computes the gradient for its own rows of the batch, and the mean over ranks is that of the whole batch:

        dL/dW = 1/R sum over ranks r of dL_r/dW,   L_r the mean loss of rank r's batch_size / R rows.

    The result equals that of a single process up to the rounding of sums, unless the network is random in training
    (dropout, stochastic depth): each rank then draws its own numbers. Instruments run on rank 0: they see the gradients
    of weights of the whole batch, but the activations and their gradients of rank 0's rows only. All ranks are on one
    machine.

    Source: Li et al. 2020, PyTorch Distributed, arXiv:2006.15704, section 3.
    Differs from the source: gradients are averaged after the backward pass, not during it, see MeanGradient.

    Args:
        callbacks: as in `make_trainer` (runtime).
        logger: on rank 0 (runtime).
        checkpoints: as in `make_trainer`; written by rank 0 (runtime).
        checkpoint_every_steps: as in `make_trainer` (runtime).
        progress: as in `make_trainer` (runtime).
        accelerator: 'cpu' or 'gpu', where rank r uses GPU r.
        precision: as in `make_trainer`.
        max_steps: as in `make_trainer`.
        gradient_clip_norm: as in `make_trainer`, for the mean gradient.
        devices: number of ranks R, from 1; batch_size must be a multiple of it.
        backend: 'gloo' or, on GPUs, 'nccl'.
    """
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        precision=cast(_Precision, precision),
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
        save_top_k=MAX_CHECKPOINTS,
    )


def _common(max_steps: int, logger: Logger | None, progress: bool) -> dict[str, Any]:
    """The settings of trainers for any number of devices."""
    # else PyTorch would fill each new tensor first; its stubs don't know the setting
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    return {
        "max_steps": max_steps,
        "logger": logger or False,
        "deterministic": True,
        "enable_progress_bar": progress,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
