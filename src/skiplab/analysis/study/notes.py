"""What a reader has to know of the trials behind a number."""

from collections.abc import Mapping

from skiplab.analysis.claims.compare import LOST, Paired
from skiplab.analysis.statistics.statistics import Interval
from skiplab.metrics import Metric

_AT_BOUND = 0.01


def notes(paired: Paired, interval: Interval) -> tuple[str, ...]:
    """What a reader has to know of the trials behind an interval."""
    if paired.missing:
        return (paired.missing,)
    found = [note for arm, states in paired.states.items() for note in state_notes(arm, states, paired.metric)]
    if open_sides := [side for side in ("smaller", "greater") if getattr(paired, f"may_be_{side}")]:
        found.append(f"the true effect may be {' or '.join(open_sides)} than shown")
    if paired.on_survivors:
        which = " or ".join(LOST[state] for state in paired.lost)
        found.append(f"trials {which} have no value of this metric: no verdict on survivors alone")
    if lacking := int(paired.advantage.isna().sum()):
        found.append(f"{lacking} of {len(paired.advantage)} seeds lack a pair")
    if interval.constant:
        found.append("all seeds are equal: the interval is that point")
    if bound := _shared_bound(paired):
        found.append(
            f"both arms lie within {_AT_BOUND:g} of the bound {bound}: this metric has no room to tell them apart"
        )
    return tuple(found)


def _shared_bound(paired: Paired) -> str:
    """The end of a bounded metric's range at which both arms lie, '' where there is none."""
    if paired.metric.scale != "bounded" or paired.contrast.kind != "difference":
        return ""
    means = (paired.control.mean(), paired.treatment.mean())
    return next((f"{bound}" for bound in (0, 1) if all(abs(mean - bound) < _AT_BOUND for mean in means)), "")


def state_notes(arm: str, states: Mapping[str, int], metric: Metric) -> list[str]:
    """How many of an arm's trials have no value, or one that needs a word."""
    counted = {
        "censored": "" if metric.floor is None else f" at or below floor {metric.floor:g}",
        "diverged": f" diverged{_counted_as(metric)}",
        "not reached": " not reached in training, counted with a lower bound",
    }
    unfinished = ("failed", "running", "interrupted")
    order = ("diverged", *unfinished, "without a value", "not finite", "not positive", "censored", "not reached")
    return [f"{arm}: {states[state]}{counted.get(state, f' {state}')}" for state in order if states[state]]


def _counted_as(metric: Metric) -> str:
    if metric.if_diverged is None:
        return ""
    return f", counted as {metric.if_diverged if metric.if_diverged == 'measured' else f'{metric.if_diverged:g}'}"
