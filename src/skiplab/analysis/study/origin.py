"""Where a study's trials come from: code, packages, machines and time."""

from collections.abc import Iterable, Mapping
from typing import Any

from skiplab.analysis.study.study import Study


def origin(study: Study) -> dict[str, str]:
    """What the trials' provenance says, each value once."""
    found = [record["provenance"] for record in study.records.values()]
    rows = {
        "commit": _distinct(entry.get("commit") for entry in found),
        **{f"version of {name}": values for name, values in _merged(found, "versions").items()},
        **{f"hardware, {name}": values for name, values in _merged(found, "hardware").items()},
        "begun": min(_texts(entry.get("started") for entry in found), default=""),
        "ended": max(_texts(entry.get("finished") for entry in found), default=""),
        "seconds of all trials": f"{study.trials['wall_seconds'].sum():.0f}",
    }
    return {name: value for name, value in rows.items() if value}


def _merged(found: Iterable[Mapping[str, Any]], part: str) -> dict[str, str]:
    parts = [entry[part] for entry in found if isinstance(entry.get(part), dict)]
    return {name: _distinct(entry.get(name) for entry in parts) for name in dict.fromkeys(n for p in parts for n in p)}


def _distinct(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(_texts(values)))


def _texts(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values if value is not None]
