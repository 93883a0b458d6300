"""The records of a study's trials; those that can't be read are listed, and the others are read all the same."""

import marshal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from skiplab.printable import printable
from skiplab.records.file_names import RECORD
from skiplab.records.foreign_files import read_own
from skiplab.records.record_json import parse_record
from skiplab.records.record_schema import RecordContent

Records = Mapping[str, RecordContent]  # by key
_EQUAL_IN_MANY = ("choices", "metrics", "charts", "parity", "instruments", "evaluators", "pictures")
_MOST_KNOWN = 1000
_MOST_PROBLEMS = 200
_MOST_NAMED = 3  # places that have one reason


class Problem(NamedTuple):
    """A part of a study that can't be read: where it lies, and why."""

    where: str
    reason: str


def readable(problems: Iterable[Problem]) -> list[Problem]:
    """The problems as one can read them: those with the same reason as one, and no more than a page holds."""
    by_reason: dict[str, list[str]] = {}
    for problem in problems:
        by_reason.setdefault(problem.reason, []).append(problem.where)
    every = [Problem(_named(places), reason) for reason, places in by_reason.items()]
    more = len(every) - _MOST_PROBLEMS
    return [*every[:_MOST_PROBLEMS], *([Problem("and more", f"{more} others")] if more > 0 else [])]


def _named(places: Sequence[str]) -> str:
    """The first places, and how many more there are."""
    more = len(places) - _MOST_NAMED
    return ", ".join(places[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def read_records(runs_dir: Path, keys: Sequence[str]) -> tuple[dict[str, RecordContent], list[Problem]]:
    """The records by key, and those that can't be read."""
    records: dict[str, RecordContent] = {}
    problems: list[Problem] = []
    parts = _SharedParts()
    for key in keys:
        path = runs_dir / key / RECORD
        try:
            records[key] = parts.share(parse_record(read_own(path), key))
        except FileNotFoundError:
            reason = f"it has no {RECORD}" if path.parent.is_dir() else "its folder is missing"
            problems.append(Problem(f"trial {key}", f"{reason}; train it again, or it was never started"))
        except (ValueError, OSError) as error:
            problems.append(Problem(str(path), printable(error)))
    return records, problems


class _SharedParts:
    """Lets records share the parts in which they are equal.

    Thousands of trials choose from a few options and declare the same metrics and charts, which are most of a record.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Any] = {}

    def share(self, record: RecordContent) -> RecordContent:
        """The record, with parts that an earlier one has too in the place of its own."""
        return cast("RecordContent", {name: self._shared(name, part) for name, part in record.items()})

    def _shared(self, name: str, part: Any) -> Any:
        if name not in _EQUAL_IN_MANY:
            return part
        content = marshal.dumps(part, 2)  # tells 1 from 1.0 and from true, which are equal
        if len(self._known) >= _MOST_KNOWN:
            return self._known.get(content, part)
        return self._known.setdefault(content, part)


class LazyRecords(Mapping[str, RecordContent]):
    """The records of keys that are known to be readable; each is read when it is first asked for."""

    def __init__(self, runs_dir: Path, keys: Iterable[str]) -> None:
        self._runs_dir = runs_dir
        self._records: dict[str, RecordContent | None] = dict.fromkeys(keys)
        self._parts = _SharedParts()

    def __getitem__(self, key: str) -> RecordContent:
        content = self._records[key]
        if content is None:
            text = read_own(self._runs_dir / key / RECORD)
            content = self._records[key] = self._parts.share(parse_record(text, key))
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)
