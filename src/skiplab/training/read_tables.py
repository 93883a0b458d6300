"""The tables of a trial's record, as data frames."""

import pandas as pd

from skiplab.instruments.instrument import TrainingLog
from skiplab.records.file_names import HISTORY, LAYERS, MEASUREMENTS
from skiplab.records.finished_files import truncated_files
from skiplab.records.record import Record
from skiplab.records.table_file import empty_table, read_table
from skiplab.training.components import RunSettings


def read_measurements(record: Record) -> pd.DataFrame:
    """All values of the evaluators' charts."""
    try:
        return read_table(record.folder, MEASUREMENTS, record.read()["files"]).rows
    except FileNotFoundError:
        return empty_table(MEASUREMENTS)


def read_readings(record: Record) -> pd.DataFrame:
    """All readings of the instruments; the last of several for one step; none if the file was truncated."""
    files = record.read()["files"]
    if any(truncated_files(record.folder, files, [LAYERS.file])):
        return empty_table(LAYERS)
    return read_table(record.folder, LAYERS, files).rows


def read_losses(record: Record) -> pd.Series:
    """The loss of each step, indexed by step in their order."""
    return _losses(read_table(record.folder, HISTORY, record.read()["files"]).rows)


def read_log(record: Record, settings: RunSettings, zero_loss: float) -> TrainingLog:
    """All that was recorded during training; of a diverged trial, the history up to divergence."""
    content = record.read()
    history = read_table(record.folder, HISTORY, content["files"]).rows
    history = history.loc[history["step"] < content["step"]]  # a killed process may have come further
    return TrainingLog(
        readings=read_readings(record),
        losses=_losses(history),
        diverged=content["diverged_step"] is not None,
        num_skipped=len(history[history["metric"] == "skipped_update"]),
        zero_loss=zero_loss,
        max_steps=settings.max_steps,
        batch_size=settings.batch_size,
    )


def _losses(history: pd.DataFrame) -> pd.Series:
    losses = history[history["metric"] == "loss"].set_index("step")["value"].sort_index()
    assert isinstance(losses, pd.Series)
    return losses
