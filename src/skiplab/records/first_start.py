"""When a trial was first begun; training it again makes it no younger."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def first_start(record: Mapping[str, Any]) -> datetime | None:
    """The earliest start that a record tells of, in UTC; None where it tells of none that can be read."""
    where = record.get("provenance") or {}
    return min(filter(None, (in_utc(where.get(name)) for name in ("first_started", "started"))), default=None)


def in_utc(text: Any) -> datetime | None:
    """The time that an ISO text names, in UTC where it names no zone; None where it is no such text."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def now() -> str:
    """This moment as records tell it: to the thousandth of a second, by which trials and claims are put in order."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
