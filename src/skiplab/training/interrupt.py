"""A trial that is told to stop saves where it stands, and can be resumed."""

import pytorch_lightning as pl

from skiplab.interruption import Interruption


class StopWhenTold(pl.Callback):
    """Saves a checkpoint at the end of the step in which a signal was heard, and ends training.

    Args:
        interruption: hears the signals.
    """

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption

    def on_train_start(self, trainer, module) -> None:
        self.interruption.listen()  # the trainer has put handlers of its own before ours
        self.interruption.patient = True

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        if self.interruption.signum is not None and not trainer.should_stop:
            folder = trainer.checkpoint_callback.dirpath
            trainer.save_checkpoint(f"{folder}/step={trainer.global_step}.ckpt")
            trainer.should_stop = True
