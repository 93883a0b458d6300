"""One trial: from a resolved configuration to a finished record."""

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
import wandb
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import WandbLogger

from skiplab.errors import Interrupted, SkiplabError
from skiplab.interruption import Interruption, interruptible
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import CONFIG
from skiplab.records.fingerprint import looked_at_once
from skiplab.records.key import factors, trial_key
from skiplab.records.local_paths import with_absolute_paths
from skiplab.records.provenance import origin
from skiplab.records.record import Record
from skiplab.records.record_schema import Provenance, new_record
from skiplab.records.statuses import FINISHED, Status
from skiplab.records.study_list import join
from skiplab.records.writable import UNWRITABLE, explain_unwritable
from skiplab.training.build import Parts, build, check_machine
from skiplab.training.divergence import ended, zero_loss
from skiplab.training.factory import factory
from skiplab.training.fit import fit
from skiplab.training.measure import declare, evaluate, read_log, read_measurements, read_readings, summarise
from skiplab.training.plan import asked_instruments, chosen, missing_evaluators, nothing_left, remarks
from skiplab.training.salvage import salvage
from skiplab.training.wandb_logger import end_run, log_outcome
from skiplab.training.weights import load_weights


class Outcome(NamedTuple):
    """What became of a trial; action is 'trained', 'resumed', 'evaluated' or 'already done'."""

    key: str
    status: str
    action: str
    note: str


@looked_at_once()
def run_trial(config: DictConfig, choices: dict[str, str], *, progress: bool) -> Outcome:
    """Bring a trial to its end: skip what is done, resume what was broken off, train what is new.

    SIGTERM, SIGINT and SIGUSR2 end it within a step, with a checkpoint and the status 'interrupted'.

    Args:
        config: the composed configuration.
        choices: the option chosen on each axis.
        progress: whether to draw a progress bar.

    Raises:
        SkiplabError: a user's mistake, before anything is written; or the trial failed, with its reason.
        Interrupted: a signal ended it.
    """
    runs_dir = Path(config.run.runs_dir)
    record = Record(runs_dir, trial_key(config))
    content = record.read_if_any()
    if content is not None and not config.run.rerun and nothing_left(config, content):
        join(config, [record.key])
        return Outcome(record.key, content["status"], "already done", remarks(config, content))
    parts = build(config)
    check_machine(config)
    torch.set_num_threads(config.num_threads)
    with record.locked(), interruptible() as interruption:
        join(config, [record.key])  # first: claims that can't be found replace no record
        if config.run.rerun and record.status is not None:
            record.set_aside()
        with explain_unwritable(runs_dir):
            salvaged = salvage(record)
            action = _begin(config, choices, parts, record)
            if salvaged:
                print(f"trial {record.key}: {salvaged}", flush=True)
                record.update(salvaged=[*record.read()["salvaged"], salvaged])
            status = _complete(config, parts, record, interruption, progress)
    return Outcome(record.key, status, action, remarks(config, record.read()))


def warm(config: DictConfig) -> None:
    """Import whatever the trial will import and start what trials share, for a worker that forks them from itself."""
    for target in _targets(OmegaConf.to_container(config)):
        get_object(target)
    if config.logger._target_ is not None:
        wandb.setup()
        import_module("wandb.sdk.launch")  # by every run when it starts, which takes a second


def _targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a configuration."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for child in node.values():
            yield from _targets(child)


def _begin(config: DictConfig, choices: dict[str, str], parts: Parts, record: Record) -> str:
    """Open the record where there is none; say what is going to happen to it."""
    if record.status is not None:
        return "evaluated" if record.status in FINISHED else "resumed"
    replaced = record.replaced_start
    config_text = OmegaConf.to_yaml(with_absolute_paths(config))
    write_atomically(record.folder / CONFIG, config_text.encode())
    record.write(
        new_record(
            record.key,
            choices=choices,
            factors=factors(config),
            parity=parts.costs,
            instruments=asked_instruments(config),
            details={"data": dict(parts.data.derived)} if parts.data.derived else {},
            origin=origin(torch.cuda.get_device_name() if torch.cuda.is_available() else None),
            first_started=replaced.isoformat() if replaced else None,
        )
    )
    return "trained"


def _complete(config: DictConfig, parts: Parts, record: Record, interruption: Interruption, progress: bool) -> Status:
    """Train where the record isn't trained, then evaluate what is missing; returns the final status."""
    status = record.read()["status"]
    with _wandb_run(config, record) as logger, _account(record):
        if status not in FINISHED:
            status = _train(config, parts, record, logger, interruption, progress)
            interruption.check()
        elif status == "done":
            load_weights(parts.model, record.weights, record.read())
        pictures = {}
        if status == "done":
            pictures = evaluate(config, parts, record, missing_evaluators(config, record.read()))
        else:
            declare(config, record)
        content = record.read()
        log_outcome(
            logger, content["step"], content["summary"], pictures, read_measurements(record), read_readings(record)
        )
        record.update(status=status)
    return status


def _train(
    config: DictConfig,
    parts: Parts,
    record: Record,
    logger: WandbLogger | None,
    interruption: Interruption,
    progress: bool,
) -> Status:
    """Train from the start or the last checkpoint, unless the weights are there; returns the status."""
    record.update(status="running", error=None)
    instruments = {name: factory(node)() for name, node in chosen(config.instrument).items()}
    if record.weights.exists():
        load_weights(parts.model, record.weights, record.read())
        record.update(**ended(config, parts))
    else:
        record.update(**fit(config, parts, record, instruments, logger, interruption, progress=progress))
    diverged = record.read()["diverged_step"] is not None
    summarise(instruments, read_log(config, record, zero_loss(parts)), record, diverged=diverged)
    return "diverged" if diverged else "done"


@contextmanager
def _wandb_run(config: DictConfig, record: Record) -> Iterator[WandbLogger | None]:
    """The trial's W&B run, which ends with a copy of the record whatever happens; None where there is to be none."""
    logger = None
    if config.logger._target_ is not None:
        with _account(record):
            content = record.read()
            logger = factory(config.logger)(
                record.key, config.run.study, content["choices"], content["factors"], record.folder
            )
    if logger is None:
        yield None
        return
    try:
        record.update(provenance={**record.read()["provenance"], "wandb_id": logger.experiment.id})
        yield logger
    finally:
        end_run(logger, record.folder)


@contextmanager
def _account(record: Record) -> Iterator[None]:
    """Add the time spent to the record; leave the reason there if it fails."""
    started = time.monotonic()

    def spent() -> Provenance:
        where = record.read()["provenance"]
        seconds = where["wall_seconds"] + time.monotonic() - started
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        return {**where, "wall_seconds": round(seconds, 3), "finished": finished}

    try:
        yield
    except Interrupted as stop:
        record.check_in_place()
        if record.status not in FINISHED:
            record.update(status="interrupted", error=f"{stop}; the same command resumes it")
        record.update(provenance=spent())
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            raise  # nothing can be recorded; the trial resumes from its last checkpoint
        record.check_in_place()
        traceback.print_exc(file=sys.stderr)
        record.update(status="failed", error=traceback.format_exc(), provenance=spent())
        raise SkiplabError(
            f"trial {record.key} failed: {type(error).__name__}: {error}; its traceback is in {record.path}"
        ) from error
    record.update(provenance=spent())
