"""Accounts for a trial's work in its record: the time that it took, and why it ended early."""

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from skiplab.errors import Interrupted, SkiplabError
from skiplab.records.record import Record
from skiplab.records.record_schema import Provenance
from skiplab.records.statuses import FINISHED
from skiplab.records.writable import UNWRITABLE


@contextmanager
def account(record: Record) -> Iterator[None]:
    """Add the time of the block to the record; if the block raises, also the status and the reason.

    A finished trial stays so.

    Raises:
        Interrupted: as the block.
        SkiplabError: if the block raises another exception.
    """
    started = time.monotonic()

    def spent() -> Provenance:
        provenance = record.read()["provenance"]
        seconds = provenance["wall_seconds"] + time.monotonic() - started
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        return {**provenance, "wall_seconds": round(seconds, 3), "finished": finished}

    try:
        yield
    except Interrupted as stop:
        record.check_in_place()
        if record.status not in FINISHED:
            record.update(status="interrupted", error=f"{stop}; the same command resumes it")
        record.update(provenance=spent())
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            raise  # nothing can be recorded; the trial resumes from its last checkpoint
        record.check_in_place()
        traceback.print_exc(file=sys.stderr)
        if (status := record.read()["status"]) in FINISHED:  # what it has measured is there, whatever came after it
            record.update(provenance=spent())
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise SkiplabError(f"trial {record.key} stays {status}, but this failed: {reason}") from error
        record.update(status="failed", error=traceback.format_exc(), provenance=spent())
        raise SkiplabError(
            f"trial {record.key} failed: {type(error).__name__}: {error}; its traceback is in {record.path}"
        ) from error
    record.update(provenance=spent())
