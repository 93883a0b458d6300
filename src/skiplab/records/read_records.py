"""The records of a study's trials; what can't be read is listed, never fatal."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from skiplab.printable import printable
from skiplab.records.foreign_files import parse_json, read_own

STATUSES = ("running", "interrupted", "done", "diverged", "failed")
Record = Mapping[str, Any]
_HALF = re.compile("[\ud800-\udfff]")  # of a character beyond 16 bits, as in a file's name that is no UTF-8
_LARGEST = 2**63 - 1  # of the whole numbers of a frame


class Problem(NamedTuple):
    """Something of a study that could not be read: where it lies, and why."""

    where: str
    reason: str


def read_records(runs_dir: Path, keys: Sequence[str]) -> tuple[dict[str, Record], list[Problem]]:
    """The content of record.json by key, and what could not be read."""
    records: dict[str, Record] = {}
    problems = []
    for key in keys:
        path = runs_dir / key / "record.json"
        try:
            records[key] = parse_record(read_own(path), key)
        except FileNotFoundError:
            reason = "it has no record.json" if path.parent.is_dir() else "its folder is missing"
            problems.append(Problem(f"trial {key}", f"{reason}; train it again, or it was never begun"))
        except (ValueError, OSError) as error:
            problems.append(Problem(str(path), printable(error)))
    return records, problems


class LaterRecords(Mapping[str, Record]):
    """The same for keys whose records are known to be readable, each read when it is asked for."""

    def __init__(self, runs_dir: Path, keys: Iterable[str]) -> None:
        self._runs_dir, self._keys = runs_dir, dict.fromkeys(keys)

    def __getitem__(self, key: str) -> Record:
        if self._keys[key] is None:
            self._keys[key] = parse_record(read_own(self._runs_dir / key / "record.json"), key)
        return self._keys[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def parse_record(text: bytes, key: str) -> Record:
    """The content of a record.json, its optional parts filled in.

    Raises:
        ValueError: where it is no record of this trial.
    """
    content = _spelled_out(parse_json(text), text)
    if not isinstance(content, dict):
        raise ValueError("it holds no record")
    if content.get("key") != key:
        raise ValueError(f"it is the record of {content.get('key')!r}, not of this trial")
    if content.get("status") not in STATUSES:
        raise ValueError(f"its status is {content.get('status')!r}; valid: {', '.join(STATUSES)}")
    for part in ("choices", "factors", "summary", "missing", "metrics", "charts", "details", "parity", "provenance"):
        content[part] = content.get(part) or {}
        if not isinstance(content[part], dict):
            raise ValueError(f"its {part} are no mapping")
    if not is_number(content["factors"].get("seed")):
        raise ValueError("its factors hold no seed")
    for name, value in content["factors"].items():
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise ValueError(f"its {name} is {value}; valid: whole numbers up to {_LARGEST}")
    return content


def _spelled_out(content: Any, text: bytes) -> Any:
    """The content with halves of characters, which no file can hold, spelled out as JSON spells them."""
    if b"\\ud" not in text.lower() and b"\xed" not in text:
        return content
    return json.loads(_HALF.sub(lambda found: f"\\\\u{ord(found[0]):04x}", json.dumps(content, ensure_ascii=False)))


def is_number(value: Any) -> bool:
    """Whether a value out of a record is one."""
    return isinstance(value, int | float) and not isinstance(value, bool)
