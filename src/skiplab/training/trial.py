"""One trial: from a resolved configuration to a finished record."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from pytorch_lightning.loggers import WandbLogger

from skiplab.interruption import Interruption, interruptible
from skiplab.records.fingerprint import looked_at_once
from skiplab.records.key import trial_key
from skiplab.records.record import Record
from skiplab.records.statuses import FINISHED
from skiplab.records.study_data import data_contents
from skiplab.records.study_list import join
from skiplab.records.writable import explain_unwritable
from skiplab.training.account import account
from skiplab.training.build import build
from skiplab.training.components import Components
from skiplab.training.divergence import divergence_of, zero_loss
from skiplab.training.fit import fit
from skiplab.training.machine import check_machine
from skiplab.training.open_record import open_record
from skiplab.training.plan import Plan
from skiplab.training.setting_checks import wrong_counts
from skiplab.training.threads import with_threads
from skiplab.training.training_end import TrainingEnd, end_of_training
from skiplab.training.wandb_run import wandb_run
from skiplab.training.weights import load_weights


class Outcome(NamedTuple):
    """How a trial ended; action is 'trained', 'resumed', 'evaluated' or 'already done'."""

    key: str
    status: str
    action: str
    note: str


@looked_at_once()
def run_trial(
    config: DictConfig,
    choices: dict[str, str],
    *,
    progress: bool,
    build_components: Callable[[DictConfig], Components] = build,
    joins: bool = True,
) -> Outcome:
    """Finish a trial: skip it if it is done, resume it if it was interrupted, train it if it is new.

    SIGTERM, SIGINT and SIGUSR2 end it within a step, with a checkpoint and the status 'interrupted'.

    Args:
        config: the composed configuration.
        choices: the option of each axis.
        progress: whether to show a progress bar.
        build_components: makes the components of a trial that isn't done.
        joins: whether it joins the study that its configuration names.

    Raises:
        SkiplabError: a user's mistake, before anything is written; or the trial or a measurement of it failed, with
            the reason. A trial whose measurement failed stays done.
        Interrupted: a signal ended it.
    """
    record = Record(Path(config.run.runs_dir), trial_key(config))
    plan = Plan.of(config, record.folder)
    content = record.read_if_any()
    if content is not None and plan.is_complete(content) and not config.run.rerun:
        if joins:
            join(config, [record.key], data_contents([config]))
        return Outcome(record.key, content["status"], "already done", plan.remarks(content))

    make = partial(build_components, config)
    components = make() if any(wrong_counts(config)) else with_threads(config.num_threads, make)  # building tells them
    check_machine(config)
    with record.locked(), interruptible() as interruption:
        if joins:
            join(config, [record.key], data_contents([config]))  # first: claims that can't be found replace no record
        if config.run.rerun and record.status is not None:
            record.set_aside()
        with explain_unwritable(record.runs_dir):
            details = {"data": dict(components.data.derived)} if components.data.derived else {}
            action = open_record(record, plan, config, choices, costs=components.costs, details=details)
            with wandb_run(record, components.make_logger, config.run.study) as logger, account(record):
                failures = _finish(components, plan, record, logger, interruption, progress=progress)
    if failures:
        from skiplab.training.measure import tell_failures  # with pandas, which measuring has imported already

        tell_failures(record, failures)
    content = record.read()
    return Outcome(record.key, content["status"], action, plan.remarks(content))


def _finish(
    components: Components,
    plan: Plan,
    record: Record,
    logger: WandbLogger | None,
    interruption: Interruption,
    *,
    progress: bool,
) -> dict[str, str]:
    """Train the network if it isn't trained, then run the evaluators that are missing.

    Returns:
        Why instruments and evaluators failed.
    """
    status, pictures, failures = record.read()["status"], {}, {}
    end = None
    if status not in FINISHED:
        record.update(status="running", error=None, files={})
        if record.weights.exists():
            end = _end_of_saved(components, record)
        else:
            end = fit(components, record, logger, interruption, progress=progress)
        record.update(**end._asdict())
        status = "done" if end.diverged_step is None else "diverged"
    elif status == "done":
        load_weights(components.model, record.weights, record.read())

    # pandas comes with these; the first step needn't wait for it
    from skiplab.training.measure import declare, evaluate, summarize
    from skiplab.training.read_tables import read_log, read_measurements, read_readings

    if end is not None or plan.failed_instruments(record.read()):
        log = read_log(record, components.settings, zero_loss(components))
        failures |= summarize(components.instruments, log, record)
        interruption.check()
    if status == "done":
        pictures, failed = evaluate(components, plan, record)
        failures |= failed
    else:
        declare(components, record)
    record.update(status=status)
    if logger is not None:
        from skiplab.training.wandb_logger import log_outcome  # with wandb, which its logger has imported already

        content = record.read()
        tables = read_measurements(record), read_readings(record)
        log_outcome(logger, content["step"], content["summary"], pictures, *tables)
    return failures


def _end_of_saved(components: Components, record: Record) -> TrainingEnd:
    """How training ended whose weights are saved, and nothing else; the model gets them."""
    from skiplab.training.read_tables import read_losses

    load_weights(components.model, record.weights, record.read())
    if components.weight_average is None:
        return end_of_training(components, divergence_of(components, read_losses(record)))
    # the last weights, which decide, are gone; they were sound, else no average would have been saved
    return TrainingEnd(components.settings.max_steps)
