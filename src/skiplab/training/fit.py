"""Training of one trial under its record: from its initial weights or its last checkpoint to the end."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger
from safetensors.torch import save

from skiplab.instruments.instrument import Instrument
from skiplab.instruments.observer import Observer
from skiplab.interruption import Interruption
from skiplab.layers import places
from skiplab.training.build import Parts, maker
from skiplab.training.freezing import frozen
from skiplab.training.interrupt import StopWhenTold
from skiplab.training.module import AblationModule
from skiplab.training.record import Record, write_atomically
from skiplab.training.recorder import Recorder
from skiplab.training.seeding import keyed_generator

_NUM_ZERO = 256  # images from which the loss of a network that has learnt nothing is estimated


def zero_loss(parts: Parts) -> float:
    """The training loss of the network that answers zero."""
    return parts.objective.zero_loss(*parts.data.train.first(_NUM_ZERO), keyed_generator(0, "zero loss"))


def keep_latest_checkpoint(record: Record) -> Path | None:
    """The latest checkpoint; older ones are removed, since one is left behind by each signal."""
    *older, newest = sorted(record.checkpoints.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns) or [None]
    for path in older:
        path.unlink()
    return newest


def fit(
    config: DictConfig,
    parts: Parts,
    record: Record,
    instruments: Mapping[str, Instrument],
    logger: Logger | None,
    interruption: Interruption,
    *,
    progress: bool,
) -> dict[str, int | None]:
    """Train to the last step or to divergence; the model holds the last weights afterwards.

    Returns the record's fields step and diverged_step.

    Raises:
        Interrupted: a signal ended training; a checkpoint is there.
        RuntimeError: where the trainer stopped early without divergence or signal.
    """
    split = parts.data.train
    earlier = _losses_so_far(record)
    history = record.table("history", ("step", "metric", "value"))
    readings = record.table("layers", ("step", "index", "path", "quantity", "value"))
    recorder = Recorder(
        history,
        log_every_steps=config.run.log_every_steps,
        diverged_above=config.divergence_factor * zero_loss(parts),
    )
    observer = Observer(
        list(instruments.values()),
        network=places(parts.model, *parts.objective.example(split.shape)),
        table=readings,
    )
    module = AblationModule(
        parts.model,
        parts.objective,
        split,
        augmentation=maker(config.augmentation)(),
        batch_size=config.batch_size,
        seed=config.seed,
        optimizer=maker(config.optimizer),
        scheduler=maker(config.scheduler),
    )
    with closing(history), closing(readings):
        recorder.look_for_divergence(earlier)
        if recorder.diverged_step is not None:  # it was killed before its record could say so
            return {"step": max(earlier) + 1, "diverged_step": recorder.diverged_step}
        trainer = maker(config.trainer)(
            [recorder, observer, StopWhenTold(interruption)],
            logger,
            record.checkpoints,
            config.run.checkpoint_every_steps,
            progress,
        )
        try:
            with frozen(parts.model, config.frozen_share):
                trainer.fit(module, ckpt_path=keep_latest_checkpoint(record), weights_only=True)
        finally:
            interruption.patient = False
    keep_latest_checkpoint(record)
    parts.model.eval()
    if recorder.diverged_step is None:
        if trainer.global_step < trainer.max_steps:
            interruption.check()
        if trainer.global_step != trainer.max_steps:
            raise RuntimeError(f"training stopped at step {trainer.global_step} of {trainer.max_steps}")
        weights = {name: tensor.contiguous() for name, tensor in parts.model.state_dict().items()}
        write_atomically(record.weights, save(weights))
    return {"step": trainer.global_step, "diverged_step": recorder.diverged_step}


def _losses_so_far(record: Record) -> dict[int, float]:
    """The loss of each step that was written before a trial was broken off; a torn last line is left out."""
    path = record.folder / "history.csv"
    if not path.exists():
        return {}
    *rows, _ = path.read_text().split("\n")
    cells = [row.split(",") for row in rows[1:]]
    return {int(step): float(value) for step, metric, value in cells if metric == "loss"}
