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
    return as_text(datetime.now(UTC))


def as_text(time: datetime) -> str:
    """A time in UTC as `now` writes it; later times come later in the order of texts."""
    return time.isoformat(timespec="milliseconds")
