"""The code, packages, machines and times of a study's trials."""

from collections.abc import Iterable, Mapping
from typing import Any

from skiplab.analysis.study.study import Study


def origin(study: Study) -> dict[str, str]:
    """The provenance of all trials, each value once."""
    if not study.records and study.published is None:
        return {}
    found = [record["provenance"] for record in study.records.values()]
    rows = {
        "goes on from": "" if study.published is None else str(study.published),
        "commit": _distinct(entry["commit"] for entry in found),
        **{f"version of {name}": values for name, values in _merged(entry["versions"] for entry in found).items()},
        **{f"hardware, {name}": values for name, values in _merged(entry["hardware"] for entry in found).items()},
        "started": min(_texts(entry["started"] for entry in found), default=""),
        "finished": max(_texts(entry["finished"] for entry in found), default=""),
        "seconds of all trials": f"{study.trials['wall_seconds'].sum():.0f}",
    }
    return {name: value for name, value in rows.items() if value}


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    parts = list(parts)
    return {name: _distinct(entry.get(name) for entry in parts) for name in dict.fromkeys(n for p in parts for n in p)}


def _distinct(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(_texts(values)))


def _texts(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values if value is not None]
