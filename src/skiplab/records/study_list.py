"""The list of a study's trials, `runs/studies/NAME/keys.txt`, with a key on each line."""

import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.appended_table import cut_torn_line
from skiplab.records.file_names import KEYS, STUDIES
from skiplab.records.foreign_files import read_own
from skiplab.records.locks import acquire
from skiplab.records.read_records import read_records
from skiplab.records.record_schema import is_key
from skiplab.records.registrations import find_claims, register, registrations
from skiplab.records.study_data import Contents, keep_data
from skiplab.records.timestamps import in_utc
from skiplab.records.writable import explain_unwritable, refuse_links

if TYPE_CHECKING:
    from omegaconf import DictConfig

_LONGEST_NAME, _LONGEST_PATH = 255, 3000  # bytes: what file systems take, and what leaves room for names below it


class Keys(NamedTuple):
    """The lines of a study's list, each once. invalid: those that are no keys."""

    keys: list[str]
    invalid: list[str]


def study_folder(runs_dir: Path, study: object) -> Path:
    """The folder of a study.

    Raises:
        SkiplabError: if the name isn't one folder name, or the path is too long for a file system.
    """
    if not isinstance(study, str) or not is_study_name(study):
        raise SkiplabError(
            f"run.study={study!r} is no valid name; valid: one folder name that reads as text, such as my_study"
        )
    for name, path in (("run.study", Path(study)), ("run.runs_dir", runs_dir)):
        if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts) or len(os.fsencode(path)) > _LONGEST_PATH:
            raise SkiplabError(
                f"{name} is too long with {len(str(path))} characters; valid: up to {_LONGEST_NAME} bytes a folder "
                f"name, {_LONGEST_PATH} in all"
            )
    return runs_dir / STUDIES / study


def is_study_name(text: str) -> bool:
    """Whether a text can be the name of a study's folder."""
    return bool(text) and text == Path(text).name and not text.startswith(".")


def study_names(runs_dir: Path) -> list[str]:
    """The studies that have a list of trials."""
    return sorted(path.parent.name for path in (runs_dir / STUDIES).glob(f"*/{KEYS}"))


def read_keys(folder: Path) -> Keys:
    """Read the list of the study in a folder.

    Raises:
        SkiplabError: if there is none, or it can't be read.
    """
    path = folder / KEYS
    try:
        text = read_own(path).decode(errors="replace")
    except (OSError, ValueError) as error:
        raise SkiplabError(f"{path} can't be read: {printable(error)}; it lists the trials of a study") from None
    lines = [line for line in dict.fromkeys(line.strip() for line in text.splitlines()) if line]
    return Keys([line for line in lines if is_key(line)], [line for line in lines if not is_key(line)])


def join(config: "DictConfig", keys: Iterable[str], data: Contents) -> None:
    """Add trials to the study that their configuration names, and register the claims that it names.

    Args:
        config: of one of the trials.
        keys: theirs.
        data: what the files hold that they are trained on.

    Raises:
        SkiplabError: if there is no such claims file, the study's name is invalid, its folder can't be written, or its
            data have changed.
    """
    claims = None if config.run.claims is None else find_claims(config.run.claims)
    join_study(Path(config.run.runs_dir), config.run.study, keys, claims, data)


def join_study(
    runs_dir: Path, study: str, keys: Iterable[str], claims: Path | None = None, data: Contents | None = None
) -> None:
    """Add trials to a study's list unless they are there, and register claims that the study hasn't had before.

    Raises:
        SkiplabError: if the study's name is invalid, its folder can't be written, or its data have changed.
    """
    path = study_folder(runs_dir, study) / KEYS
    with explain_unwritable(runs_dir):
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_links(path.parent)
        with path.open("a+b") as file:
            acquire(file, "run.runs_dir", wait=True)
            keep_data(path.parent, data or {})
            cut_torn_line(file)
            file.seek(0)
            present = dict.fromkeys(file.read().decode().split())
            new = [key for key in dict.fromkeys(keys) if key not in present]
            file.write("".join(f"{key}\n" for key in new).encode())
            if claims is not None:
                _register_once(claims, path.parent, runs_dir, [*present, *new])


def _register_once(claims: Path, folder: Path, runs_dir: Path, keys: Sequence[str]) -> None:
    content = claims.read_bytes()
    if sha256(content).hexdigest() not in [each.sha256 for each in registrations(folder)]:
        records, _ = read_records(runs_dir, keys)
        starts = (in_utc(record["provenance"]["first_started"]) for record in records.values())
        register(folder, claims, content, min(starts, default=None))
