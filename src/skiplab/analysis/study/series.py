"""The tables of a study's trials, one below the other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from skiplab.records.file_names import Table
from skiplab.records.read_records import Problem
from skiplab.records.record_schema import FinishedFile
from skiplab.records.table_file import empty_table, read_table

Files = Mapping[str, Mapping[str, FinishedFile]]  # the finished files of each trial, by key


def read_series(
    runs_dir: Path, keys: Sequence[str], table: Table, files: Files, metric: str | None = None
) -> tuple[pd.DataFrame, list[Problem]]:
    """Read a table of all these trials, and list what can't be read or was changed, which is left out.

    A trial without the file hasn't started to write it, so it has no rows. Texts are categories, as a few of them fill
    millions of rows.

    Args:
        runs_dir: where the records are.
        keys: the trials.
        table: the table.
        files: with their hashes.
        metric: the one whose rows are kept, of a history; None: all rows.
    """
    frames: list[pd.DataFrame] = []
    found: list[str] = []
    problems: list[Problem] = []
    for key in keys:
        path = runs_dir / key / table.file
        try:
            frame, num_unreadable = read_table(path.parent, table, files.get(key, {}))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            problems.append(Problem(str(path), str(error)))
            continue
        if num_unreadable:
            problems.append(Problem(str(path), f"{num_unreadable} rows can't be read and are left out"))
        if metric is not None:
            frame = frame.loc[frame["metric"] == metric]
        if "step" in table.columns:
            frame = frame.sort_values("step", kind="stable")
        frames.append(frame)
        found.append(key)
    rows = pd.concat(frames, ignore_index=True) if frames else empty_table(table)
    own = pd.Categorical(found)
    rows.insert(
        0, "key", pd.Categorical.from_codes(np.repeat(own.codes, [len(frame) for frame in frames]), own.categories)
    )
    return rows.astype({name: "category" for name, kind in table.types.items() if kind == "str"}), problems
