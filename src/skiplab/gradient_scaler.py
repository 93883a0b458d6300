"""The scaler of gradients in mixed precision."""

import pytorch_lightning as pl
import torch


def gradient_scaler(trainer: pl.Trainer) -> torch.amp.GradScaler | None:
    """What scales a trainer's loss and may leave an update out; None at every precision but 16-mixed."""
    return getattr(trainer.precision_plugin, "scaler", None)
