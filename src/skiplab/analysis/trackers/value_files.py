"""Files of values that training code writes: metrics.csv, metrics.json, metrics.jsonl and their like, and events."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from skiplab.analysis.trackers.event_files import is_event_file, read_event_file
from skiplab.analysis.trackers.foreign_run import Value, metric_numbers, number
from skiplab.records.foreign_files import MOST_TABLE_BYTES, parse_json, read_own

_NAME = re.compile(r"(metrics|results|scores|summary|progress|log)\.(csv|json|jsonl)")
_STEPS = ("step", "global_step", "_step", "epoch", "iteration")


class FileValues(NamedTuple):
    """What a file holds: values of steps, metrics without a step, and a configuration."""

    history: list[Value]
    metrics: dict[str, float]
    config: dict[str, Any]


def is_value_file(name: str) -> bool:
    """Whether a file of this name holds values of a run."""
    return bool(_NAME.fullmatch(name)) or is_event_file(name)


def read_value_file(path: Path, source: Path) -> FileValues:
    """The values in a file that must not lead out of the source.

    Raises:
        ValueError, OSError: it can't be read.
    """
    if is_event_file(path.name):
        events = read_event_file(path)
        return FileValues(events.values, {}, {f"config.{name}": value for name, value in events.config.items()})
    content = read_own(path, MOST_TABLE_BYTES, within=source)
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace")))
        entries = ({name: _entry(text) for name, text in row.items() if name} for row in rows)
        return FileValues(list(_of_rows(entries)), {}, {})
    if path.suffix == ".jsonl":
        lines = (parse_json(line) for line in content.splitlines() if line.strip())
        return FileValues(list(_of_rows(lines)), {}, {})
    parsed = parse_json(content)
    if isinstance(parsed, list):
        return FileValues(list(_of_rows(parsed)), {}, {})
    if not isinstance(parsed, dict):
        raise ValueError("it holds no mapping of metrics")
    return FileValues([], metric_numbers(parsed), {})


def _of_rows(rows: Any) -> Iterator[Value]:
    """The values of rows, at the step that each names, else at its place."""
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"row {place + 1} holds no mapping of metrics")
        numbers = metric_numbers(row)
        step = next((int(numbers[name]) for name in _STEPS if name in numbers), place)
        for name, value in numbers.items():
            if name not in _STEPS or name == "epoch":
                yield Value(step, name, value)


def _entry(text: Any) -> float | None:
    """An entry of a CSV file as a number; None if it is none, or one of too many."""
    try:
        return float(text or "")
    except (ValueError, TypeError):
        return number(text)
