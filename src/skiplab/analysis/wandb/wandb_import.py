"""Trials back from Weights & Biases: the records that their runs carry, put where the analysis reads them.

A run carries its trial's record among its files, so that what comes back is the record itself and no second reading of
it; only the weights stay where they were trained. What is uploaded by `skiplab sync` on one machine can be compared on
another.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.foreign_files import (
    MOST_BYTES,
    MOST_TABLE_BYTES,
    links_out,
    parse_json,
    parse_yaml,
    read_keys,
    read_own,
)
from skiplab.records.read_records import parse_record
from skiplab.records.record_files import WEIGHTS

_FILES = (
    "config.yaml",
    "history.csv",
    "layers.csv",
    "measurements.csv",
    "samples.png",
)
_KEY = re.compile(r"[0-9a-f]{16}")


class Run(NamedTuple):
    """A run of W&B. name: for messages; read: the bytes of one of its files, None where there is none."""

    name: str
    read: Callable[[str], bytes | None]


def import_runs(source: str, runs_dir: Path, study: str | None = None, api: Any = None) -> tuple[list[str], list[str]]:
    """Write the records of a project's runs below runs_dir, and list them in their studies.

    A record that is there already is left as it is.

    Args:
        source: ENTITY/PROJECT, or a folder below which offline runs lie (`offline-run-*/*.wandb` with their files).
        runs_dir: where records go.
        study: where they are listed; None: each in the study that it was trained in.
        api: of wandb.Api's kind; None: W&B's own, which needs a key.

    Returns:
        A line for each run that was taken, and one for each that wasn't, with the reason.

    Raises:
        SkiplabError: where the source is neither, or holds no runs.
    """
    taken, left = [], []
    for run in _runs(source, api):
        try:
            taken.append(_take(run, runs_dir, study))
        except (ValueError, OSError) as error:
            left.append(f"{run.name}: {error}")
    if not taken and not left:
        raise SkiplabError(f"{printable(source)} holds no runs; valid: ENTITY/PROJECT, or a folder with offline runs")
    return taken, left


def import_command(source: str, runs_dir: Path, study: str | None = None, console: Console | None = None) -> None:
    """Bring runs back and say of each what became of it."""
    console = console or terminal.console()
    taken, left = import_runs(source, runs_dir, study)
    for line in (*taken, *(f"left out: {each}" for each in left)):
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(taken)} trials in {printable(runs_dir)}, {len(left)} runs left out", markup=False)


def _runs(source: str, api: Any) -> Iterator[Run]:
    if Path(source).is_dir():
        for path in sorted(Path(source).rglob("offline-run-*/*.wandb")):
            yield Run(
                path.parent.name, lambda name, files=path.parent / "files": _read_file(files / name, Path(source))
            )
        return
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise SkiplabError(f"{printable(source)!r} is no folder; valid: ENTITY/PROJECT, or a folder with offline runs")
    if api is None:
        import wandb.errors

        try:
            api = wandb.Api()
        except wandb.errors.Error as error:
            raise SkiplabError(f"W&B has no key: {error}; `wandb login`, or name a folder of offline runs") from None
    for run in api.runs(source):
        yield Run(run.id, lambda name, run=run: _download(run, name))


def _read_file(path: Path, source: Path) -> bytes | None:
    """A file's content, also of a link within the source: W&B links an offline run's files to the record's."""
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
    """Write one record; returns what became of it.

    Raises:
        ValueError: where the run carries none.
    """
    record = run.read("record.json")
    if record is None:
        raise ValueError("it carries no record: no trial of skiplab, or one that was killed")
    content = parse_json(record)
    key = content.get("key") if isinstance(content, dict) else None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(f"its record has the key {key!r}; valid: 16 of 0-9a-f")
    own = study or _study(run.read("config.yaml"))
    if not isinstance(own, str) or not own.isprintable() or own != Path(own).name or own[:1] in ("", "."):
        raise ValueError(f"its study is {own!r}; name one with --study")
    parse_record(record, key)
    folder, listed = runs_dir / key, runs_dir / "studies" / own
    if found := [*links_out(folder), *links_out(listed)]:
        raise ValueError(f"{found[0]} is a link that leads out of its folder; remove it")
    there = (folder / "record.json").exists()
    if not there:
        # record.json comes last: what is broken off is no record, and is taken again
        files = {name: run.read(name) for name in _FILES} | {"record.json": _without_weights(content)}
        folder.mkdir(parents=True, exist_ok=True)
        for name, found in files.items():
            if found is not None:
                (folder / name).write_bytes(found)
    listed.mkdir(parents=True, exist_ok=True)
    keys = listed / "keys.txt"
    if not keys.exists() or key not in read_keys(keys)[0]:
        with keys.open("a", encoding="utf-8") as file:
            file.write(f"{key}\n")
    return f"{key}: {'already there' if there else content.get('status')}, study {own}"


def _without_weights(content: dict[str, Any]) -> bytes:
    """A record.json that says nothing of the length of weights, which no run carries: they aren't lost."""
    if isinstance(content.get("files"), dict):
        content["files"].pop(WEIGHTS, None)
    return (json.dumps(content, indent=1) + "\n").encode()


def _study(config: bytes | None) -> Any:
    """The study that a configuration says its trial is in; None where it says none."""
    content = parse_yaml(config) if config else None
    run = content.get("run") if isinstance(content, dict) else None
    return run.get("study") if isinstance(run, dict) else None
