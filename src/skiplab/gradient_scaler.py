"""The gradient scaler of mixed-precision training."""

import pytorch_lightning as pl
import torch


def gradient_scaler(trainer: pl.Trainer) -> torch.amp.GradScaler | None:
    """The scaler of a trainer's loss, which may skip an update; None at every precision except 16-mixed."""
    return getattr(trainer.precision_plugin, "scaler", None)
