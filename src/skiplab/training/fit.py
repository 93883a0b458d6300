"""Trains the network of a trial under its record: from its initial weights or its last checkpoint to the end."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from skiplab.instruments.observer import Observer
from skiplab.interruption import Interruption, interruptible
from skiplab.records.appended_table import AppendedTable
from skiplab.records.file_names import HISTORY, LAYERS
from skiplab.records.record import Record
from skiplab.training.checkpoints import MAX_CHECKPOINTS, Signature, keep_newest
from skiplab.training.components import Components
from skiplab.training.divergence import divergence_of
from skiplab.training.freezing import frozen
from skiplab.training.gpu.gpu_module import GPUModule
from skiplab.training.interrupt import StopOnSignal
from skiplab.training.module import AblationModule
from skiplab.training.ranks.process_group import together
from skiplab.training.ranks.ranks import StopTogether
from skiplab.training.recorder import Recorder
from skiplab.training.training_end import TrainingEnd, end_of_training
from skiplab.training.weights import write_weights


def fit(
    components: Components, record: Record, logger: Logger | None, interruption: Interruption, *, progress: bool
) -> TrainingEnd:
    """Train to the last step or to divergence.

    The model holds the weights to be judged afterwards, the last or their average; they are saved unless training
    diverged, which the last weights decide.

    Raises:
        Interrupted: a signal ended training, and there is a checkpoint.
        RuntimeError: if the trainer stopped early without divergence or signal.
    """
    average = components.weight_average
    history, readings = record.append_to(HISTORY), record.append_to(LAYERS)
    with closing(history), closing(readings):
        recorder = _recorder(components, history)
        observer = Observer(
            list(components.instruments.values()),
            network=components.network,
            table=readings,
        )
        signature = Signature(record.key, {HISTORY.name: history, LAYERS.name: readings})
        stop = StopOnSignal(interruption) if components.settings.ranks is None else StopTogether(interruption)
        resume_from = keep_newest(record, MAX_CHECKPOINTS)
        # the average comes before what may write a checkpoint
        callbacks: list[pl.Callback] = [*([average] if average else []), recorder, observer, signature, stop]
        every_steps = components.settings.checkpoint_every_steps
        try:
            with _other_ranks(components, record.checkpoints, resume_from):
                trainer = components.make_trainer(callbacks, logger, record.checkpoints, every_steps, progress)
                train(components, trainer, resume_from)
        finally:
            interruption.patient = False
    keep_newest(record, 1)
    if recorder.divergence.step is None and trainer.global_step < trainer.max_steps:
        interruption.check()
        raise RuntimeError(f"training stopped at step {trainer.global_step} of {trainer.max_steps}")
    end = end_of_training(components, recorder.divergence)
    if end.diverged_step is None:
        if average is not None:
            average.put_into(components.model)
        write_weights(record, components.model, tables=signature.marks)
    return end


def train(components: Components, trainer: pl.Trainer, resume_from: Path | None) -> None:
    """Train in this process, the only one or one of several, from a checkpoint if there is one."""
    settings = components.settings
    make_module: Callable[..., AblationModule] = (
        partial(GPUModule, captures=settings.cuda_graph) if settings.on_one_gpu else AblationModule
    )
    module = make_module(
        components.model,
        components.objective,
        components.data.train,
        augmentation=components.augmentation,
        batch_size=settings.batch_size,
        seed=settings.seed,
        optimizer=components.optimizer,
        scheduler=components.scheduler,
    )
    with frozen(components.model, settings.frozen_fraction):
        trainer.fit(module, ckpt_path=resume_from, weights_only=True)


def _recorder(components: Components, history: AppendedTable) -> Recorder:
    return Recorder(history, divergence_of(components), log_every_steps=components.settings.log_every_steps)


def _other_ranks(components: Components, checkpoints: Path, resume_from: Path | None) -> AbstractContextManager[None]:
    """The other processes of the trial, if it has any; this one is rank 0."""
    if (ranks := components.settings.ranks) is None:
        return nullcontext()
    return together(_follow, ranks.rebuild, checkpoints, resume_from, num_ranks=ranks.devices, backend=ranks.backend)


def _follow(rebuild: Callable[[], Components], checkpoints: Path, resume_from: Path | None) -> None:
    """Train as another rank than 0; it writes nothing."""
    components = rebuild()
    with interruptible() as interruption, closing(AppendedTable(Path(os.devnull), HISTORY.columns)) as nowhere:
        interruption.patient = True
        callbacks: list[pl.Callback] = [_recorder(components, nowhere), StopTogether(interruption)]
        every_steps = components.settings.checkpoint_every_steps
        train(components, components.make_trainer(callbacks, None, checkpoints, every_steps, False), resume_from)
