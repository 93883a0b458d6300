"""Stops training after a signal, with a checkpoint from which it can be resumed."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from skiplab.interruption import Interruption


class StopOnSignal(pl.Callback):
    """Saves a checkpoint at the end of the step in which a signal arrived, and ends training.

    Args:
        interruption: notes the signals.
    """

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.interruption.listen()  # the trainer has replaced our handlers by its own
        self.interruption.patient = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.interruption.signum is not None and not trainer.should_stop:
            assert isinstance(trainer.checkpoint_callback, ModelCheckpoint)
            folder = trainer.checkpoint_callback.dirpath
            trainer.save_checkpoint(f"{folder}/step={trainer.global_step}.ckpt")
            trainer.should_stop = True
