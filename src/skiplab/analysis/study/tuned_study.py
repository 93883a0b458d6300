"""What a study that follows `skiplab tune` may say of itself."""

from collections.abc import Sequence
from typing import Any

from skiplab.analysis.text import level_text
from skiplab.records.read_records import Records
from skiplab.records.record_schema import Factor, RecordContent
from skiplab.records.tuned import Tuned
from skiplab.records.tuned_budget import budget_text

SHARED = "at shared settings"
UNKNOWN = "settings unknown"  # of results without records
NOT_AS_CLAIMED = f"{SHARED}, though the claims file says tuned"
TUNED = "tuned per arm"  # the one level of what was tuned in trials that carry what was chosen for them
_MOST_DEPARTURES = 3  # that a verdict names


def as_tuned(records: Records, tuned: Tuned | None) -> Records:
    """The records, in which a tuned option or setting has the one level TUNED if the trial carries what was chosen.

    So what differs between arms by declaration neither splits cells nor counts as a difference. The settings that
    belong to a tuned option go with it.
    """
    if tuned is None:
        return records
    return {
        key: _levelled(record, tuned) if tuned.followed_by(record["choices"], record["factors"]) else record
        for key, record in records.items()
    }


def _levelled(record: RecordContent, tuned: Tuned) -> RecordContent:
    axes = set(record["choices"]) & set(tuned.names)
    settings: dict[str, Factor] = dict.fromkeys([name for name in tuned.names if name not in axes], TUNED)
    factors = {name: value for name, value in record["factors"].items() if name.split(".")[0] not in axes}
    choices = {**record["choices"], **dict.fromkeys(axes, TUNED)}
    return {**record, "choices": choices, "factors": {**factors, **settings}}


def settings_caveat(records: Sequence[RecordContent], tuned: Tuned | None) -> str:
    """How the settings of these trials were chosen: 'at shared settings', or 'tuned per arm' with the budget."""
    if not tuned or not all(tuned.followed_by(each["choices"], each["factors"]) for each in records):
        return SHARED
    found = (tuned.find(each["choices"], each["factors"]) for each in records)
    kinds = {tuple(each.factors.items()): each for each in found if each is not None}
    at_edge = sum(each.edge != "inside" for each in kinds.values())
    budget = budget_text(len(tuned.rates), list(kinds.values()))
    still = f", {at_edge} of {len(kinds)} at the edge of the rates" if at_edge else ""
    departures: dict[str, Any] = {}
    for each in records:
        departures |= tuned.departures(each["choices"], each["factors"])
    named = [f"{name} {level_text(value)}" for name, value in list(departures.items())[:_MOST_DEPARTURES]]
    more = f" and {len(departures) - len(named)} other settings" if len(departures) > len(named) else ""
    elsewhere = f", but at {', '.join(named)}{more}" if named else ""
    return f"{TUNED}, {budget}{still}{elsewhere}"
