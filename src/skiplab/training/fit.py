"""Training of one trial under its record: from its initial weights or its last checkpoint to the end."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from skiplab.instruments.instrument import Instrument
from skiplab.instruments.observer import Observer
from skiplab.interruption import Interruption, interruptible
from skiplab.layers import inspect_network
from skiplab.records.appended_table import AppendedTable
from skiplab.records.file_names import HISTORY, LAYERS
from skiplab.records.record import Record
from skiplab.training.build import Parts, build
from skiplab.training.checkpoints import KEPT, Signature, keep_newest
from skiplab.training.divergence import LOSS, diverged_above, ended
from skiplab.training.factory import factory
from skiplab.training.freezing import frozen
from skiplab.training.gpu.gpu_module import GpuModule
from skiplab.training.interrupt import StopWhenTold
from skiplab.training.module import AblationModule
from skiplab.training.ranks.process_group import together
from skiplab.training.ranks.ranks import StopTogether
from skiplab.training.recorder import Recorder
from skiplab.training.weights import write_weights


def fit(
    config: DictConfig,
    parts: Parts,
    record: Record,
    instruments: Mapping[str, Instrument],
    logger: Logger | None,
    interruption: Interruption,
    *,
    progress: bool,
) -> dict[str, Any]:
    """Train to the last step or to divergence; the model holds the last weights afterwards, saved unless it diverged.

    Returns the record's fields step, diverged_step and diverged_because.

    Raises:
        Interrupted: a signal ended training; a checkpoint is there.
        RuntimeError: where the trainer stopped early without divergence or signal.
    """
    earlier = _losses_so_far(record)
    history = record.append_to(HISTORY)
    readings = record.append_to(LAYERS)
    recorder = _recorder(config, parts, history)
    observer = Observer(
        list(instruments.values()),
        network=inspect_network(parts.model, *parts.objective.example(parts.data.train.shape)),
        table=readings,
    )
    with closing(history), closing(readings):
        recorder.look_for_divergence(earlier)
        if recorder.diverged_step is not None:  # it was killed before its record could say so
            return _diverged(max(earlier) + 1, recorder)
        stop = (StopTogether if _is_shared(config) else StopWhenTold)(interruption)
        signed = Signature(record.key, {HISTORY.name: history, LAYERS.name: readings})
        checkpoints = (record.checkpoints, keep_newest(record, KEPT))
        try:
            with _other_ranks(config, *checkpoints):
                callbacks = [recorder, observer, signed, stop]
                trainer = _train(config, parts, callbacks, logger, *checkpoints, progress=progress)
        finally:
            interruption.patient = False
    keep_newest(record, 1)
    parts.model.eval()
    if recorder.diverged_step is not None:
        return _diverged(trainer.global_step, recorder)
    if trainer.global_step < trainer.max_steps:
        interruption.check()
    if trainer.global_step != trainer.max_steps:
        raise RuntimeError(f"training stopped at step {trainer.global_step} of {trainer.max_steps}")
    fields = ended(config, parts)
    if fields["diverged_step"] is None:
        write_weights(record, parts.model, tables=signed.marks)
    return fields


def _diverged(step: int, recorder: Recorder) -> dict[str, Any]:
    return {"step": step, "diverged_step": recorder.diverged_step, "diverged_because": LOSS}


def _recorder(config: DictConfig, parts: Parts, history: AppendedTable) -> Recorder:
    return Recorder(
        history,
        log_every_steps=config.run.log_every_steps,
        diverged_above=diverged_above(config, parts),
    )


def _train(
    config: DictConfig,
    parts: Parts,
    callbacks: Sequence[pl.Callback],
    logger: Logger | None,
    checkpoints: Path,
    newest: Path | None,
    *,
    progress: bool,
) -> pl.Trainer:
    """Train in this process, the only one or one of several, from the newest of the checkpoints if there is one."""
    on_one_gpu = config.trainer.accelerator == "gpu" and not _is_shared(config)
    make_module = partial(GpuModule, captures=config.run.cuda_graph) if on_one_gpu else AblationModule
    module = make_module(
        parts.model,
        parts.objective,
        parts.data.train,
        augmentation=factory(config.augmentation)(),
        batch_size=config.batch_size,
        seed=config.seed,
        optimizer=factory(config.optimizer),
        scheduler=factory(config.scheduler),
    )
    make = factory(config.trainer)
    trainer = make(callbacks, logger, checkpoints, config.run.checkpoint_every_steps, progress)
    with frozen(parts.model, config.frozen_fraction):
        trainer.fit(module, ckpt_path=newest, weights_only=True)
    return trainer


def _is_shared(config: DictConfig) -> bool:
    """Whether the trial is trained by several processes, of which the trial's own is rank 0."""
    return "devices" in config.trainer


def _other_ranks(config: DictConfig, checkpoints: Path, newest: Path | None) -> AbstractContextManager[None]:
    """The other processes, if there are any."""
    if not _is_shared(config):
        return nullcontext()
    plain = OmegaConf.to_container(config, resolve=True)
    ranks = {"num_ranks": config.trainer.devices, "backend": config.trainer.backend}
    return together(_follow, plain, checkpoints, newest, **ranks)


def _follow(plain: dict[str, Any], checkpoints: Path, newest: Path | None) -> None:
    """Train as another rank than 0, which writes nothing."""
    config = OmegaConf.create(plain)
    torch.set_num_threads(config.num_threads)
    parts = build(config)
    with interruptible() as interruption, closing(AppendedTable(Path(os.devnull), HISTORY.columns)) as nowhere:
        interruption.patient = True
        callbacks = [_recorder(config, parts, nowhere), StopTogether(interruption)]
        _train(config, parts, callbacks, None, checkpoints, newest, progress=False)


def _losses_so_far(record: Record) -> dict[int, float]:
    """The loss of each step that was written before a trial was broken off; a torn last line is left out."""
    path = record.folder / HISTORY.file
    if not path.exists():
        return {}
    *rows, _ = path.read_text(encoding="utf-8").split("\n")
    cells = [row.split(",") for row in rows[1:]]
    return {int(step): float(value) for step, metric, value in cells if metric == "loss"}
