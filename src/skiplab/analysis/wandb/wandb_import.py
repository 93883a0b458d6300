"""Import of trials from Weights & Biases, so that trials of one machine can be compared on another.

The files of a run include its trial's record without the weights, which is copied as it is.
"""

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import CONFIG, COPIED_FILES, RECORD, WEIGHTS
from skiplab.records.finished_files import check_unchanged
from skiplab.records.foreign_files import MOST_BYTES, MOST_TABLE_BYTES, parse_yaml, read_own
from skiplab.records.record import Record
from skiplab.records.record_json import parse_record
from skiplab.records.record_schema import RecordContent
from skiplab.records.study_list import is_study_name, join_study, study_folder
from skiplab.records.writable import refuse_links


class Run(NamedTuple):
    """A run of W&B. name: for messages; read: the content of one of its files, None if it has none of that name."""

    name: str
    read: Callable[[str], bytes | None]


def import_runs(source: str, runs_dir: Path, study: str | None = None, api: Any = None) -> tuple[list[str], list[str]]:
    """Copy the records of a project's runs to runs_dir, and list them in their studies.

    A record that already exists is left as it is.

    Args:
        source: ENTITY/PROJECT, or a folder with offline runs at any depth (`offline-run-*/*.wandb` with their files).
        runs_dir: where the records go.
        study: the study that lists them; None for the one that each was trained in.
        api: a wandb.Api; None to make one, which needs an API key.

    Returns:
        A line for each imported run, and one with the reason for each other run.

    Raises:
        SkiplabError: if the source is neither, or has no runs.
    """
    taken, left = [], []
    for run in _runs(source, api):
        try:
            taken.append(_take(run, runs_dir, study))
        except (ValueError, OSError, SkiplabError) as error:
            left.append(f"{run.name}: {error}")
    if not taken and not left:
        raise SkiplabError(f"{printable(source)} holds no runs; valid: ENTITY/PROJECT, or a folder with offline runs")
    return taken, left


def import_command(source: str, runs_dir: Path, study: str | None = None, console: Console | None = None) -> None:
    """Import runs and print what became of each."""
    console = console or terminal.console()
    taken, left = import_runs(source, runs_dir, study)
    for line in (*taken, *(f"left out: {each}" for each in left)):
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(taken)} trials in {printable(runs_dir)}, {len(left)} runs left out", markup=False)


def _runs(source: str, api: Any) -> Iterator[Run]:
    if Path(source).is_dir():
        for path in sorted(Path(source).rglob("offline-run-*/*.wandb"), key=lambda path: path.parent.name):  # by time
            yield Run(
                path.parent.name, lambda name, files=path.parent / "files": _read_file(files / name, Path(source))
            )
        return
    for run in wandb_api(source, api).runs(source):
        yield Run(run.id, lambda name, run=run: _download(run, name))


def wandb_api(source: str, api: Any = None) -> Any:
    """The given API of W&B, else a new one, to read a project.

    Raises:
        SkiplabError: the source is no name of a project, or W&B has no key.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise SkiplabError(f"{printable(source)!r} is no folder; valid: ENTITY/PROJECT, or a folder with offline runs")
    if api is not None:
        return api
    import wandb
    import wandb.errors

    try:
        return wandb.Api()
    except wandb.errors.Error as error:
        raise SkiplabError(f"W&B has no key: {error}; `wandb login`, or name a folder of offline runs") from None


def _read_file(path: Path, source: Path) -> bytes | None:
    """A file's content; W&B links an offline run's files to the record's, so links within the source are followed."""
    try:
        return read_own(path, MOST_TABLE_BYTES if path.suffix == ".csv" else MOST_BYTES, within=source)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def _download(run: Any, name: str) -> bytes | None:
    if name not in {file.name for file in run.files([name])}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        run.file(name).download(root=folder, replace=True)
        return _read_file(Path(folder) / name, Path(folder))


def _take(run: Run, runs_dir: Path, study: str | None) -> str:
    """Write the record that a run carries; returns what became of it.

    Raises:
        ValueError: if the run carries none.
        SkiplabError: if the record can't be written, or is being trained.
    """
    text = run.read(RECORD)
    if text is None:
        raise ValueError("it carries no record: no trial of skiplab, or one that was killed")
    content = parse_record(text)
    name = study or _study(run.read(CONFIG))
    if not isinstance(name, str) or not name.isprintable() or not is_study_name(name):
        raise ValueError(f"its study is {name!r}; name one with --study")
    record = Record(runs_dir, content["key"])
    refuse_links(record.folder)
    refuse_links(study_folder(runs_dir, name))
    outcome = "already there" if record.path.exists() else _copy(run, record, content)
    join_study(runs_dir, name, [record.key])
    return f"{record.key}: {outcome}, study {name}"


def _copy(run: Run, record: Record, content: RecordContent) -> str:
    """Copy the files of a run; returns what became of them."""
    copies = {file: run.read(file) for file in COPIED_FILES if file != RECORD}
    for file, copy in copies.items():
        try:
            check_unchanged(copy or b"", content["files"].get(file))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
    with record.locked():
        if record.path.exists():
            return "already there"
        for file, copy in copies.items():
            if copy is not None:
                write_atomically(record.folder / file, copy)
        record.write(_without_weights(content))  # last: a folder without it is no trial, and is imported again
    return content["status"]


def _without_weights(content: RecordContent) -> RecordContent:
    """The record without the length of its weights, which no run carries, so that they don't count as lost."""
    return {**content, "files": {name: length for name, length in content["files"].items() if name != WEIGHTS}}


def _study(config: bytes | None) -> Any:
    """The study in a trial's configuration; None if it names none."""
    content = parse_yaml(config) if config else None
    run = content.get("run") if isinstance(content, dict) else None
    return run.get("study") if isinstance(run, dict) else None
