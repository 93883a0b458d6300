"""Runs of Weights & Biases, offline ones by their files and those of a project by its API."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from skiplab.analysis.trackers.foreign_run import ForeignRun, Value, flat, last_values, metric_numbers, number
from skiplab.analysis.trackers.wandb_file import read_records
from skiplab.analysis.wandb.wandb_import import wandb_api
from skiplab.records.read_records import Problem
from skiplab.records.statuses import Status

_STATES: dict[str, Status] = {"finished": "done", "running": "running", "preempted": "interrupted"}


def offline_files(folder: Path) -> list[Path]:
    """The files of the offline runs below a folder, by time."""
    found = [path for path in folder.rglob("*.wandb") if path.parent.name.startswith(("offline-run-", "run-"))]
    return sorted(found, key=lambda path: path.parent.name)


def offline_runs(folder: Path) -> tuple[list[ForeignRun], list[Problem]]:
    """The offline runs below a folder, and the files that can't be read."""
    runs, problems = [], []
    for path in offline_files(folder):
        try:
            runs.append(_offline_run(path, folder))
        except (ValueError, OSError) as error:
            problems.append(Problem(str(path), str(error)))
    return runs, problems


def _offline_run(path: Path, folder: Path) -> ForeignRun:
    config: dict[str, Any] = {}
    said: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    history: list[Value] = []
    status: Status = "running"  # or killed: the record of its end is missing
    name = path.parent.name
    for record in read_records(path, folder):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            name = f"{run.display_name or run.run_id} ({path.parent.name})"
            said |= {"name": run.display_name, "group": run.run_group, "job_type": run.job_type, "id": run.run_id}
            config |= _items(run.config.update)
        elif kind == "config":
            config |= _items(record.config.update)
            for item in record.config.remove:
                config.pop(_name(item), None)
        elif kind == "summary":
            summary |= _items(record.summary.update)
        elif kind == "history":
            history += _values(_items(record.history.item), record.history.step.num)
        elif kind == "exit":
            status = "failed" if record.exit.exit_code else "done"
    config = {name: value for name, value in flat(config, "config").items() if not name.startswith("config._wandb")}
    return ForeignRun(name, status, said | config, last_values(history) | _logged(summary), tuple(history))


def project_runs(source: str, api: Any, *, with_history: bool) -> tuple[list[ForeignRun], list[Problem]]:
    """The runs of a project, ENTITY/PROJECT.

    Raises:
        SkiplabError: it is no name of a project, or W&B has no key.
    """
    runs = []
    for run in wandb_api(source, api).runs(source):
        history: list[Value] = []
        for row in run.scan_history() if with_history else ():
            history += _values(row, int(row.get("_step", 0)))
        status = _STATES.get(run.state, "failed")
        said = {"name": run.name, "group": run.group, "job_type": run.job_type, "id": run.id}
        config = flat({key: value for key, value in run.config.items() if not key.startswith("_")}, "config")
        runs.append(
            ForeignRun(f"{run.name} ({run.id})", status, said | config, _logged(dict(run.summary)), tuple(history))
        )
    return runs, []


def _items(items: Iterable[Any]) -> dict[str, Any]:
    return {_name(item): json.loads(item.value_json) for item in items}


def _name(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _values(row: dict[str, Any], step: int) -> Iterator[Value]:
    step = int(row.get("_step", step))
    for name, logged in row.items():
        value = number(logged)
        if value is not None and not name.startswith("_"):
            yield Value(step, name, value)


def _logged(summary: dict[str, Any]) -> dict[str, float]:
    """The numbers of a summary without W&B's own."""
    return metric_numbers({name: value for name, value in summary.items() if not name.startswith("_")})
