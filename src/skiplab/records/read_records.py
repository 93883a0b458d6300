"""The records of a study's trials; those that can't be read are listed, and the others are read all the same."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from skiplab.printable import printable
from skiplab.records.file_names import RECORD
from skiplab.records.foreign_files import read_own
from skiplab.records.record_json import parse_record
from skiplab.records.record_schema import RecordContent

Records = Mapping[str, RecordContent]  # by key


class Problem(NamedTuple):
    """A part of a study that can't be read: where it lies, and why."""

    where: str
    reason: str


def read_records(runs_dir: Path, keys: Sequence[str]) -> tuple[dict[str, RecordContent], list[Problem]]:
    """The records by key, and those that can't be read."""
    records: dict[str, RecordContent] = {}
    problems: list[Problem] = []
    for key in keys:
        path = runs_dir / key / RECORD
        try:
            records[key] = parse_record(read_own(path), key)
        except FileNotFoundError:
            reason = f"it has no {RECORD}" if path.parent.is_dir() else "its folder is missing"
            problems.append(Problem(f"trial {key}", f"{reason}; train it again, or it was never started"))
        except (ValueError, OSError) as error:
            problems.append(Problem(str(path), printable(error)))
    return records, problems


class LazyRecords(Mapping[str, RecordContent]):
    """The records of keys that are known to be readable; each is read when it is first asked for."""

    def __init__(self, runs_dir: Path, keys: Iterable[str]) -> None:
        self._runs_dir = runs_dir
        self._records: dict[str, RecordContent | None] = dict.fromkeys(keys)

    def __getitem__(self, key: str) -> RecordContent:
        content = self._records[key]
        if content is None:
            content = self._records[key] = parse_record(read_own(self._runs_dir / key / RECORD), key)
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)
