"""One trial of a LightningModule: from its configuration to a finished record."""

import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities.model_helpers import is_overridden

from skiplab.instruments.instrument import TrainingLog
from skiplab.interruption import Interruption, interruptible
from skiplab.records.file_names import HISTORY, LAYERS
from skiplab.records.fingerprint import looked_at_once
from skiplab.records.key import trial_key
from skiplab.records.record import Record
from skiplab.records.study_list import join
from skiplab.records.writable import explain_unwritable
from skiplab.seeding import keyed_seed
from skiplab.training.account import account
from skiplab.training.checkpoints import MAX_CHECKPOINTS, Signature, keep_newest
from skiplab.training.divergence import Divergence
from skiplab.training.findings import Declared, Findings
from skiplab.training.interrupt import StopOnSignal
from skiplab.training.machine import check_machine
from skiplab.training.measure import summarize, tell_failures
from skiplab.training.open_record import open_record
from skiplab.training.own_module.keyed_batches import KeyedBatches, seed_everything
from skiplab.training.own_module.module_observer import ModuleObserver
from skiplab.training.own_module.module_parts import ModuleParts, make_parts
from skiplab.training.plan import Plan
from skiplab.training.read_tables import read_losses, read_measurements, read_readings
from skiplab.training.recorder import Recorder
from skiplab.training.threads import with_threads
from skiplab.training.training_end import WEIGHTS, TrainingEnd
from skiplab.training.trial import Outcome
from skiplab.training.wandb_logger import log_outcome
from skiplab.training.wandb_run import wandb_run
from skiplab.training.weights import write_weights

STARTS = "initial_weights"  # in a record's details: a hash of each initial weight


@looked_at_once()
def run_module_trial(config: DictConfig, choices: dict[str, str], logged: Declared) -> Outcome:
    """Finish a trial: skip it if it is done, resume it if it was interrupted, train it if it is new.

    SIGTERM, SIGINT and SIGUSR2 end it within a step, with a checkpoint and the status 'interrupted'.

    Args:
        config: of the trial; its nodes `module` and `data` hold an import path each, and the arguments.
        choices: names of the module and its data.
        logged: the metrics that the module logs.

    Raises:
        SkiplabError: the module can't be trained, before anything is written; or the trial failed, with the reason.
        Interrupted: a signal ended it.
    """
    record = Record(Path(config.run.runs_dir), trial_key(config))
    plan = Plan.of(config, record.folder)
    content = record.read_if_any()
    if content is not None and plan.is_complete(content) and not config.run.rerun:
        join(config, [record.key], {})
        return Outcome(record.key, content["status"], "already done", plan.remarks(content))
    parts = with_threads(config.num_threads, partial(make_parts, config))
    check_machine(config)
    with record.locked(), interruptible() as interruption:
        join(config, [record.key], {})
        if config.run.rerun and record.status is not None:
            record.set_aside()
        with explain_unwritable(record.runs_dir):
            action = open_record(record, plan, config, choices, costs=parts.costs, details={STARTS: dict(parts.starts)})
            with wandb_run(record, parts.make_logger, config.run.study) as logger, account(record):
                failures = _finish(config, plan, parts, record, logged, logger, interruption)
    tell_failures(record, failures)
    content = record.read()
    return Outcome(record.key, content["status"], action, plan.remarks(content))


def _finish(
    config: DictConfig,
    plan: Plan,
    parts: ModuleParts,
    record: Record,
    logged: Declared,
    logger: WandbLogger | None,
    interruption: Interruption,
) -> dict[str, str]:
    """Train the module if it isn't trained; returns why instruments failed."""
    failures: dict[str, str] = {}
    if not record.weights.exists():  # they are written last, behind all that is said of the trial
        record.update(status="running", error=None, files={})
        failures = _train(config, parts, record, logged, logger, interruption)
    elif plan.failed_instruments(record.read()):
        failures = summarize(parts.instruments, _log(config, record), record)
    content = record.read()
    record.update(status="done" if content["diverged_step"] is None else "diverged")
    if logger is not None:
        log_outcome(logger, content["step"], content["summary"], {}, read_measurements(record), read_readings(record))
    return failures


def _train(
    config: DictConfig,
    parts: ModuleParts,
    record: Record,
    logged: Declared,
    logger: WandbLogger | None,
    interruption: Interruption,
) -> dict[str, str]:
    history, readings = record.append_to(HISTORY), record.append_to(LAYERS)
    with closing(history), closing(readings):
        # without a zero predictor, only a loss that isn't finite shows divergence
        recorder = Recorder(
            history, Divergence(zero_loss=math.inf, factor=1.0), log_every_steps=config.run.log_every_steps
        )
        observer = ModuleObserver(list(parts.instruments.values()), table=readings)
        signature = Signature(record.key, {HISTORY.name: history, LAYERS.name: readings})
        callbacks: list[pl.Callback] = [KeyedBatches(config.seed), recorder, observer, signature]
        callbacks.append(StopOnSignal(interruption))
        resume_from = keep_newest(record, MAX_CHECKPOINTS)
        every_steps = config.run.checkpoint_every_steps
        try:
            trainer = parts.make_trainer(callbacks, logger, record.checkpoints, every_steps, False)
            trainer.fit(parts.module, datamodule=parts.datamodule, ckpt_path=resume_from, weights_only=True)
        finally:
            interruption.patient = False
        keep_newest(record, 1)
        if trainer.global_step < config.trainer.max_steps and recorder.divergence.step is None:
            interruption.check()  # else the module has ended its training itself
        end = _end(parts.module, recorder.divergence, trainer.global_step)
        record.update(**end._asdict())
        findings = Findings.of(record)
        findings.declare(logged, "module")
        if end.diverged_step is None:
            _add_logged(findings, logged, _measured(config, parts, trainer))
        record.update(**asdict(findings))
        failures = summarize(parts.instruments, _log(config, record), record)
        if end.diverged_step is None:
            write_weights(record, parts.module, tables=signature.marks)
    return failures


def _log(config: DictConfig, record: Record) -> TrainingLog:
    return TrainingLog(
        readings=read_readings(record),
        losses=read_losses(record),
        diverged=record.read()["diverged_step"] is not None,
        num_skipped=None,
        zero_loss=None,
        max_steps=config.trainer.max_steps,
        batch_size=None,
    )


def _end(module: pl.LightningModule, divergence: Divergence, steps: int) -> TrainingEnd:
    """How training ended, judged from its losses and from the weights that its last update left."""
    if divergence.step is not None:
        return TrainingEnd(divergence.step + 1, divergence.step, divergence.because)
    if all(bool(tensor.isfinite().all()) for tensor in module.state_dict().values()):
        return TrainingEnd(steps)
    return TrainingEnd(steps, steps - 1, WEIGHTS)


def _measured(config: DictConfig, parts: ModuleParts, trainer: pl.Trainer) -> dict[str, float]:
    """What the module logged in training; what it logs in validation and test is measured with its last weights."""
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    judge = pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        precision=config.trainer.precision,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        deterministic=True,
    )
    source: Any = parts.module if parts.datamodule is None else parts.datamodule
    parent = pl.LightningModule if parts.datamodule is None else pl.LightningDataModule
    for step, loader, run in (
        ("validation_step", "val_dataloader", judge.validate),
        ("test_step", "test_dataloader", judge.test),
    ):
        if is_overridden(step, parts.module) and is_overridden(loader, source, parent):
            seed_everything(keyed_seed(config.seed, step))
            for own in run(parts.module, datamodule=parts.datamodule, verbose=False):
                found |= {name: float(value) for name, value in own.items()}
    return found


def _add_logged(findings: Findings, logged: Declared, found: Mapping[str, float]) -> None:
    known = ", ".join(sorted(found)) or "nothing"
    summary = {name: found[name] for name in logged.metrics if math.isfinite(found.get(name, math.nan))}
    missing = {
        name: "it isn't a finite number" if name in found else f"the module doesn't log it; it logs {known}"
        for name in logged.metrics
        if name not in summary
    }
    findings.add(logged, "module", summary, missing)
