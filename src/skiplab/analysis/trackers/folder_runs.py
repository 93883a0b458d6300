"""Runs of a folder of files: TensorBoard's events, Lightning's CSVLogger, the jobs of a Hydra multirun.

A folder that holds values is a run: event files, or a file such as metrics.csv or metrics.json. In a job of Hydra, all
that lies below the job's folder is one run. Its configuration is that of Hydra, and files such as hparams.yaml beside
the values.
"""

import os
import re
from pathlib import Path
from typing import Any

from skiplab.analysis.trackers.event_files import has_reader, is_event_file
from skiplab.analysis.trackers.foreign_run import ForeignRun, Value, flat, last_values, path_parts
from skiplab.analysis.trackers.value_files import is_value_file, read_value_file
from skiplab.errors import SkiplabError
from skiplab.records.foreign_files import parse_json, parse_yaml, read_own
from skiplab.records.read_records import Problem

_CONFIGS = ("hparams.yaml", "config.yaml", "config.json", "args.json", "params.json")
_HYDRA = Path(".hydra", "config.yaml")
_NOT_ENTERED = ("wandb", "mlruns", "checkpoints", "__pycache__", "node_modules")  # and hidden folders
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def folders_of_runs(source: Path) -> dict[Path, list[Path]]:
    """The folder of each run below the source, with its files of values."""
    found: dict[Path, list[Path]] = {}
    for parent, folders, files in os.walk(source):
        if _is_of_other_tracker(Path(parent), files):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name not in _NOT_ENTERED and not name.startswith("."))
        values = [Path(parent, name) for name in sorted(files) if is_value_file(name)]
        if values:
            found.setdefault(_run_folder(Path(parent), source), []).extend(values)
    return found


def _is_of_other_tracker(folder: Path, files: list[str]) -> bool:
    """Whether a folder is a run of W&B or MLflow, whose artifacts may be named as values are."""
    return any(name.endswith(".wandb") for name in files) or ("meta.yaml" in files and (folder / "metrics").is_dir())


def _run_folder(folder: Path, source: Path) -> Path:
    """The folder of the Hydra job that a folder belongs to, else the folder itself."""
    inside = [folder, *(parent for parent in folder.parents if parent.is_relative_to(source))]
    return next((each for each in inside if (each / _HYDRA).is_file()), folder)


def folder_runs(source: Path) -> tuple[list[ForeignRun], list[Problem]]:
    """The runs below a folder, and the files that can't be read.

    Raises:
        SkiplabError: there are event files only, and the package that reads them is missing.
    """
    found = folders_of_runs(source)
    files = [path for values in found.values() for path in values]
    if files and all(is_event_file(path.name) for path in files) and not has_reader():
        raise SkiplabError("TensorBoard's event files need a package to be read: pip install 'skiplab[tensorboard]'")
    problems: list[Problem] = []
    return [_read_run(folder, values, source, problems) for folder, values in found.items()], problems


def _read_run(folder: Path, files: list[Path], source: Path, problems: list[Problem]) -> ForeignRun:
    """The run of a folder; files that can't be read are added to the problems."""
    said: dict[str, Any] = {}
    history: list[Value] = []
    metrics: dict[str, float] = {}
    parents = dict.fromkeys([folder, *(path.parent for path in files)])
    configs = [folder / _HYDRA, *(parent / name for parent in parents for name in _CONFIGS)]
    for path in [*filter(Path.is_file, configs), *files]:
        try:
            if path in files:
                found = read_value_file(path, source)
                history += found.history
                metrics |= found.metrics
                said |= found.config
            else:
                said |= _read_config(path, source)
        except (ValueError, OSError) as error:
            problems.append(Problem(str(path), str(error)))
    parts = folder.relative_to(source).parts
    name = str(Path(*parts)) if parts else folder.resolve().name
    return ForeignRun(
        name, "done", said | path_parts(parts) | {"name": name}, last_values(history) | metrics, tuple(history)
    )


def _read_config(path: Path, source: Path) -> dict[str, Any]:
    content = read_own(path, within=source)
    parsed = parse_json(content) if path.suffix == ".json" else parse_yaml(content)
    config = flat(parsed, "config") if isinstance(parsed, dict) else {}
    return {name: _resolved(value, config) for name, value in config.items()}


def _resolved(value: Any, config: dict[str, Any]) -> Any:
    """The value that a reference `${model.name}` stands for, which Hydra writes as it is."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return config.get(f"config.{found[1]}", value) if found else value
