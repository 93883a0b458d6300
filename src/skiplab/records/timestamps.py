"""The times of records and registrations, as ISO texts."""

from datetime import UTC, datetime


def in_utc(text: str) -> datetime:
    """The time that an ISO text names, read as UTC if it names no zone.

    Raises:
        ValueError: if it is no ISO text.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("an ISO time, such as 2026-01-31T12:00:00+00:00") from None


def now() -> str:
    """The time to the millisecond, which is fine enough to order trials and claims."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
