"""The folders of studies, and the lists and results of tuning in them."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.file_names import (
    CLAIMS,
    HISTORY,
    KEYS,
    LAYERS,
    MEASUREMENTS,
    PUBLISHED,
    REAL_IMAGES,
    RECORD,
    SAMPLES,
    STUDIES,
    TUNED,
)
from skiplab.records.read_records import Problem
from skiplab.records.study_list import read_keys, study_names
from skiplab.records.tuned import Tuned, read_tuned

_TRIAL_FILES = (RECORD, HISTORY.file, LAYERS.file, MEASUREMENTS.file, SAMPLES, REAL_IMAGES)


def study_files(name: str, runs_dir: Path) -> list[Path]:
    """The existing files of a study and its trials that the analysis reads.

    Raises:
        SkiplabError: if there is no such study.
    """
    folders = study_folders(name, runs_dir)
    keys, _ = listed_keys(folders)
    lists = [folder / name for folder in folders for name in (KEYS, TUNED, PUBLISHED)]
    claims = [folder / CLAIMS for folder in dict.fromkeys([*folders, runs_dir / STUDIES / name])]
    trials = [runs_dir / key / name for key in keys for name in _TRIAL_FILES]
    return [path for path in (*lists, *claims, *trials) if path.exists()]


def study_folders(name: str, runs_dir: Path) -> list[Path]:
    """The folders of a study, or of several as 'A,B'.

    Raises:
        SkiplabError: if there is no such study.
    """
    names = study_names(runs_dir)
    asked = [name] if name in names else [part.strip() for part in name.split(",")]
    for each in asked:
        _check_study(each, names, runs_dir)
    return [runs_dir / STUDIES / each for each in asked]


def _check_study(name: str, names: Sequence[str], runs_dir: Path) -> None:
    if name in names:
        return
    if Path(name).is_file():
        raise SkiplabError(
            f"{printable(name)} is a file, and no study of that name is in {runs_dir}; in Python, skiplab.from_frame "
            "makes a study of a table of results, such as pandas.read_csv(FILE)"
        )
    if not names:
        raise SkiplabError(
            f"no study {printable(name)!r}: {runs_dir} holds no studies; train one with "
            f"run.study={printable(name)}, or name another folder with --runs-dir"
        )
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {printable(close[0])!r}?" if close else ""
    raise SkiplabError(f"no study {printable(name)!r} in {runs_dir}; valid: {printable(', '.join(names))}{hint}")


def listed_keys(folders: Sequence[Path]) -> tuple[list[str], list[Problem]]:
    """The keys of the trials in the studies' lists, each once, and what in them is no key."""
    keys: dict[str, None] = {}
    problems = []
    for folder in folders:
        found = read_keys(folder)
        keys |= dict.fromkeys(found.keys)
        problems += [
            Problem(str(folder / KEYS), f"{printable(each)!r} is no key of a trial (16 of 0-9a-f)")
            for each in found.invalid
        ]
    return list(keys), problems


def tuned_of(path: Path) -> tuple[Tuned | None, list[Problem]]:
    """The result of tuning in a file if there is one, and why it can't be read."""
    if not path.exists():
        return None, []
    try:
        return read_tuned(path), []
    except SkiplabError as error:
        return None, [Problem(str(path), printable(error))]
