"""What was worked out of a study's records, kept beside the study until any of them changes.

Ten thousand records take seconds to read, and their files' states a tenth of one. It holds frames and declarations
alone, as Parquet and JSON, which run nothing when they are read.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pyarrow import parquet

from skiplab.analysis.output_files import write
from skiplab.charts import Chart
from skiplab.metrics import Metric
from skiplab.records.read_records import Problem

_FILE = "cache.parquet"


class Contents(NamedTuple):
    """What a study's records say; see `runs.Study`.

    files: how long each record says its files are, by key.
    """

    trials: pd.DataFrame
    missing: Mapping[str, Mapping[str, str]]
    factors: tuple[str, ...]
    constants: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    charts: Mapping[str, Chart]
    measured_by: Mapping[str, str]
    problems: tuple[Problem, ...]
    first_starts: Mapping[str, str]
    files: Mapping[str, Any]


def state_of(folder: Path, runs_dir: Path, keys: Sequence[str]) -> str:
    """A hash that changes with any of the study's records and lists, and with the code that reads them."""
    code = sorted((path.name, *_file_state(path)) for path in Path(__file__).parents[1].rglob("*.py"))
    records = [(key, *_file_state(f"{runs_dir}/{key}/record.json")) for key in keys]
    return hashlib.sha256(json.dumps([code, _file_state(folder / "tuned.yaml"), records]).encode()).hexdigest()


def _file_state(path: Path | str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def load(folder: Path, state: str) -> Contents | None:
    """What was stored in this state; None where it was another, or nothing was."""
    try:
        kept = parquet.read_metadata(folder / _FILE).metadata or {}
        # before any of it is read: another's file may hold any number of rows
        if json.loads(kept.get(b"pandas", b"{}")).get("attributes", {}).get("state") != state:
            return None
        trials = pd.read_parquet(folder / _FILE)
    except (OSError, ValueError, RecursionError, AttributeError):
        return None
    parts, trials.attrs = trials.attrs, {}
    return Contents(
        trials=trials,
        missing=parts["missing"],
        factors=tuple(parts["factors"]),
        constants=parts["constants"],
        metrics={name: Metric(**declared) for name, declared in parts["metrics"].items()},
        charts={
            name: Chart(**declared | {"log": tuple(declared["log"])}) for name, declared in parts["charts"].items()
        },
        measured_by=parts["measured_by"],
        problems=tuple(Problem(*each) for each in parts["problems"]),
        first_starts=parts["first_starts"],
        files=parts["files"],
    )


def store(folder: Path, state: str, contents: Contents) -> None:
    """Keep it for the next reader; where the folder can't be written, that one works it out again."""
    parts = contents._asdict()
    trials = parts.pop("trials").copy(deep=False)
    for name in ("metrics", "charts"):
        parts[name] = {each: asdict(declared) for each, declared in parts[name].items()}
    trials.attrs = {"state": state, **parts}
    with suppress(OSError):
        write(folder / _FILE, trials.to_parquet())
