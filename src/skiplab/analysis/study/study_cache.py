"""A cache of what a study's records say, in the study's folder; it is valid until one of them changes.

Reading ten thousand records takes seconds, and looking at their times of change a tenth of one. The cache is a Parquet
file with JSON in it, so that reading it runs no code.
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
from pyarrow import BufferOutputStream, Table, array, parquet, string

from skiplab.charts import Chart
from skiplab.metrics import Metric
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import PUBLISHED, RECORD, TUNED
from skiplab.records.read_records import Problem
from skiplab.records.record_schema import FinishedFile

_FILE = "cache.parquet"
_STATE, _PARTS = b"skiplab_state", b"skiplab_parts"  # names in the file's metadata
_BY_TRIAL = ("missing", "first_starts", "files")  # columns of JSON: a reader refuses metadata of more than 100 MB


class Contents(NamedTuple):
    """What a study's records say; see `Study`.

    files: the lengths and hashes of each trial's finished files, by key.
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
    files: Mapping[str, dict[str, FinishedFile]]


def state_of(folder: Path, runs_dir: Path, keys: Sequence[str]) -> str:
    """A hash that changes with the study's lists and records, and with the code that reads them."""
    code = sorted((path.name, *_file_state(path)) for path in Path(__file__).parents[1].rglob("*.py"))
    records = [(key, *_file_state(f"{runs_dir}/{key}/{RECORD}")) for key in keys]
    published = sorted((path.name, *_file_state(path)) for path in (folder / PUBLISHED).glob("*"))
    return hashlib.sha256(json.dumps([code, _file_state(folder / TUNED), published, records]).encode()).hexdigest()


def _file_state(path: Path | str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def load(folder: Path, state: str) -> Contents | None:
    """The cache, if it was stored in this state; else None."""
    try:
        metadata = parquet.read_metadata(folder / _FILE).metadata or {}
        # checked first, since a file of someone else may hold any number of rows
        if metadata.get(_STATE) != state.encode():
            return None
        table = parquet.read_table(folder / _FILE)
        parts = json.loads(metadata[_PARTS])
        keys = table["key"].to_pylist()
        for name in _BY_TRIAL:
            texts = dict(zip(keys, table[_column(name)].to_pylist(), strict=True))
            parts[name] = {key: json.loads(texts[key]) for key in parts[name]}
        trials = table.drop_columns([_column(name) for name in _BY_TRIAL]).to_pandas()
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None
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
    """Write the cache; if the folder can't be written, the next reader reads the records again."""
    parts = contents._asdict()
    trials = parts.pop("trials")
    table = Table.from_pandas(trials)
    for name in _BY_TRIAL:
        own, parts[name] = parts[name], list(parts[name])
        texts = [json.dumps(own[key]) if key in own else None for key in trials["key"]]
        table = table.append_column(_column(name), array(texts, string()))
    for name in ("metrics", "charts"):
        parts[name] = {each: asdict(declared) for each, declared in parts[name].items()}
    own_metadata = {_STATE: state.encode(), _PARTS: json.dumps(parts).encode()}
    content = BufferOutputStream()
    parquet.write_table(table.replace_schema_metadata((table.schema.metadata or {}) | own_metadata), content)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _FILE, content.getvalue().to_pybytes())


def _column(part: str) -> str:
    """The column of a part that is told by trial; no metric has such a name."""
    return f"{_PARTS.decode()}.{part}"
