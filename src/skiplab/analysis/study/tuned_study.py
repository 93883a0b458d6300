"""What a study that follows `skiplab tune` may say of itself."""

from collections.abc import Sequence
from typing import Any

from skiplab.analysis.text import level_text
from skiplab.records.read_records import Records
from skiplab.records.record_schema import Factor, RecordContent
from skiplab.records.tuned import Tuned

SHARED = "at shared settings"
NOT_AS_CLAIMED = f"{SHARED}, though the claims file says tuned"
TUNED = "tuned per arm"  # the one level of a tuned setting in trials that carry what was chosen for them
_MOST_DEPARTURES = 3  # that a verdict names


def as_tuned(records: Records, tuned: Tuned | None) -> Records:
    """The records, in which a tuned setting of a trial that carries what was chosen for it has the one level TUNED.

    So what differs between arms by declaration neither splits cells nor counts as a difference.
    """
    if tuned is None:
        return records
    own: dict[str, Factor] = dict.fromkeys(tuned.names, TUNED)
    return {
        key: {**record, "factors": {**record["factors"], **own}}
        if tuned.followed_by(record["choices"], record["factors"])
        else record
        for key, record in records.items()
    }


def settings_caveat(records: Sequence[RecordContent], tuned: Tuned | None) -> str:
    """How the settings of these trials were chosen: 'at shared settings', or 'tuned per arm' with the budget."""
    if not tuned or not all(tuned.followed_by(each["choices"], each["factors"]) for each in records):
        return SHARED
    found = (tuned.find(each["choices"], each["factors"]) for each in records)
    kinds = {tuple(each.factors.items()): each.edge for each in found if each is not None}
    at_edge = sum(edge != "inside" for edge in kinds.values())
    still = f", {at_edge} of {len(kinds)} at the edge of the rates" if at_edge else ""
    departures: dict[str, Any] = {}
    for each in records:
        departures |= tuned.departures(each["choices"], each["factors"])
    named = [f"{name} {level_text(value)}" for name, value in list(departures.items())[:_MOST_DEPARTURES]]
    more = f" and {len(departures) - len(named)} other settings" if len(departures) > len(named) else ""
    elsewhere = f", but at {', '.join(named)}{more}" if named else ""
    return f"{TUNED}, {tuned.budget}{still}{elsewhere}"
