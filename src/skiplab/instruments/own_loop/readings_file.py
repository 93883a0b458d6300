"""The file to which a loop's readings are written: as a record's layers.csv, with the losses among them."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import pandas as pd

from skiplab.errors import SkiplabError
from skiplab.records.appended_table import AppendedTable
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import LAYERS
from skiplab.records.table_file import read_table

LOSS = "loss"  # the quantity of a step's loss, at the place of the whole network
WHOLE = "network"


class Readings(NamedTuple):
    """layers: columns step, index, path, quantity, value. losses: indexed by step, in their order."""

    layers: pd.DataFrame
    losses: pd.Series


def open_readings(path: Path, first_step: int) -> AppendedTable:
    """A file of readings, to be appended to, without rows from the first step on, of a training that broke off.

    Raises:
        SkiplabError: the file can't be written, or it holds another training.
    """
    if first_step == 0 and path.exists() and path.stat().st_size:
        raise SkiplabError(
            f"{path} exists; give another file, remove it, or continue it with first_step=N if training goes on from "
            "step N"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            _drop_from(path.resolve(), first_step)
        return AppendedTable(path, LAYERS.columns)
    except OSError as error:
        raise SkiplabError(f"{path} can't be written: {error.strerror}; give a file in a folder of yours") from None


def _drop_from(path: Path, first_step: int) -> None:
    """Remove the rows of a file of readings that are of a step or of later ones."""
    header, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
    kept = [line for line in lines if not ((step := line.split(b",")[0]).isdigit() and int(step) >= first_step)]
    if header.strip() == ",".join(LAYERS.columns).encode() and len(kept) < len(lines):
        write_atomically(path, b"".join([header, *kept]))


def read_readings(path: Path) -> Readings:
    """The readings and losses of a file.

    Raises:
        SkiplabError: there is no such file, or it holds something else.
    """
    try:
        rows = read_table(path.parent, replace(LAYERS, file=path.name), {}).rows
    except FileNotFoundError:
        raise SkiplabError(f"there is no {path}; give a file that skiplab.watch or skiplab.Instruments wrote") from None
    except (OSError, ValueError) as error:
        raise SkiplabError(f"{path} holds no readings: {error}; give a file that skiplab.watch wrote") from None
    is_loss = rows["quantity"] == LOSS
    losses = cast("pd.Series", rows[is_loss].set_index("step")["value"]).sort_index()
    return Readings(cast("pd.DataFrame", rows[~is_loss]), losses)
