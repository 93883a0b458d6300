"""Runs in a local store of MLflow: a folder `mlruns` of text files, or a database `mlflow.db`."""

import math
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from skiplab.analysis.trackers.foreign_run import ForeignRun, Value, last_values
from skiplab.records.foreign_files import parse_yaml, read_own
from skiplab.records.read_records import Problem
from skiplab.records.statuses import Status

_NAME = "mlflow.runName"
_META = "meta.yaml"
# MLflow's numbers and names of a run's status.
_STATUSES: dict[object, Status] = {
    **{1: "running", 2: "running", 3: "done", 4: "failed", 5: "failed"},
    **{"RUNNING": "running", "SCHEDULED": "running", "FINISHED": "done", "FAILED": "failed", "KILLED": "failed"},
}


def stores(folder: Path) -> list[Path]:
    """The files of the stores below a folder: one for each run, and databases."""
    runs = [path for path in folder.rglob(_META) if (path.parent / "metrics").is_dir() and ".trash" not in path.parts]
    return sorted([*runs, *folder.rglob("mlflow.db")])


def mlflow_runs(folder: Path) -> tuple[list[ForeignRun], list[Problem]]:
    """The runs of all stores below a folder, and what can't be read; deleted runs are left out."""
    runs, problems = [], []
    for path in stores(folder):
        try:
            runs += _of_database(path) if path.name != _META else _of_folder(path.parent, folder)
        except (ValueError, OSError, sqlite3.Error) as error:
            problems.append(Problem(str(path), str(error)))
    return runs, problems


def _of_folder(run: Path, source: Path) -> Iterator[ForeignRun]:
    meta = parse_yaml(read_own(run / _META, within=source))
    if not isinstance(meta, dict) or "run_id" not in meta:
        raise ValueError("it describes no run")
    if meta.get("lifecycle_stage") == "deleted":
        return
    params = {name: text for name, text in _texts(run / "params", source)}
    tags = dict(_texts(run / "tags", source))
    history = [
        Value(int(step), name, float(value))
        for name, text in _texts(run / "metrics", source)
        for _, value, step in (line.split()[:3] for line in text.splitlines() if len(line.split()) >= 3)
    ]
    name = str(meta.get("run_name") or tags.get(_NAME) or meta["run_id"])
    status = _STATUSES.get(meta.get("status"), "running")
    yield _run(f"{name} ({str(meta['run_id'])[:8]})", name, status, params, tags, history)


def _texts(folder: Path, source: Path) -> Iterator[tuple[str, str]]:
    """The files below a folder: their names, and what stands in each."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), read_own(path, within=source).decode(errors="replace").strip()


def _of_database(path: Path) -> Iterator[ForeignRun]:
    with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as database:
        runs = database.execute("SELECT run_uuid, name, status FROM runs WHERE lifecycle_stage = 'active'").fetchall()
        for uuid, name, status in runs:
            params = dict(database.execute("SELECT key, value FROM params WHERE run_uuid = ?", (uuid,)))
            tags = dict(database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (uuid,)))
            rows = database.execute(
                "SELECT step, key, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY step, timestamp", (uuid,)
            )
            history = [Value(int(step), key, _number(value, is_nan)) for step, key, value, is_nan in rows]
            known = _STATUSES.get(status, "running")
            yield _run(f"{name or uuid} ({uuid[:8]})", name or uuid, known, params, tags, history)


def _number(value: float, is_nan: int) -> float:
    """A metric of a database, which MLflow keeps finite: infinity is the largest number there, and nan is marked."""
    if is_nan:
        return math.nan
    largest = sys.float_info.max
    return {largest: math.inf, -largest: -math.inf}.get(value, value)


def _run(
    shown: str, name: str, status: Status, params: dict[str, str], tags: dict[str, str], history: list[Value]
) -> ForeignRun:
    said: dict[str, Any] = {f"config.{key}": _scalar(text) for key, text in params.items()}
    said |= {f"tag.{key}": text for key, text in tags.items() if not key.startswith("mlflow.")}
    return ForeignRun(shown, status, said | {"name": name}, last_values(history), tuple(history))


def _scalar(text: str) -> Any:
    """A parameter, which MLflow keeps as text."""
    try:
        value = yaml.safe_load(text) if len(text) < 40 else text
    except yaml.YAMLError:
        return text
    return value if isinstance(value, int | float | bool) else text
