"""What a study that follows `skiplab tune` may say of itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from skiplab.analysis.text import level_text
from skiplab.records.record_schema import Factor, TrialSettings
from skiplab.records.tuned import Tuned
from skiplab.records.tuned_budget import budget_text

SHARED = "at shared settings"
UNKNOWN = "settings unknown"  # of results without records
NOT_AS_CLAIMED = f"{SHARED}, though the claims file says tuned"
TUNED = "tuned per arm"  # the one level of what was tuned in trials that carry what was chosen for them
_MOST_DEPARTURES = 3  # that a verdict names


def as_tuned(trials: Mapping[str, TrialSettings], tuned: Tuned | None) -> Mapping[str, TrialSettings]:
    """The trials, in which a tuned option or setting has the one level TUNED if the trial carries what was chosen.

    So what differs between arms by declaration neither splits cells nor counts as a difference. The settings that
    belong to a tuned option go with it.
    """
    if tuned is None:
        return trials
    return {
        key: _levelled(trial, tuned) if tuned.followed_by(trial["choices"], trial["factors"]) else trial
        for key, trial in trials.items()
    }


def _levelled(trial: TrialSettings, tuned: Tuned) -> TrialSettings:
    axes = set(trial["choices"]) & set(tuned.names)
    settings: dict[str, Factor] = dict.fromkeys([name for name in tuned.names if name not in axes], TUNED)
    factors = {name: value for name, value in trial["factors"].items() if name.split(".")[0] not in axes}
    choices = {**trial["choices"], **dict.fromkeys(axes, TUNED)}
    return {"choices": choices, "factors": {**factors, **settings}}


def settings_caveat(trials: Sequence[TrialSettings], tuned: Tuned | None) -> str:
    """How the settings of these trials were chosen: 'at shared settings', or 'tuned per arm' with the budget."""
    if not tuned or not all(tuned.followed_by(each["choices"], each["factors"]) for each in trials):
        return SHARED
    found = (tuned.find(each["choices"], each["factors"]) for each in trials)
    kinds = {tuple(each.factors.items()): each for each in found if each is not None}
    at_edge = sum(each.edge != "inside" for each in kinds.values())
    budget = budget_text(len(tuned.rates), list(kinds.values()))
    still = f", {at_edge} of {len(kinds)} at the edge of the rates" if at_edge else ""
    departures: dict[str, Any] = {}
    for each in trials:
        departures |= tuned.departures(each["choices"], each["factors"])
    named = [f"{name} {level_text(value)}" for name, value in list(departures.items())[:_MOST_DEPARTURES]]
    more = f" and {len(departures) - len(named)} other settings" if len(departures) > len(named) else ""
    elsewhere = f", but at {', '.join(named)}{more}" if named else ""
    return f"{TUNED}, {budget}{still}{elsewhere}"
