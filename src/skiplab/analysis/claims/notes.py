"""What a reader has to know about the trials behind a number."""

from collections.abc import Mapping

import numpy as np

from skiplab.analysis.claims.contrasts import LOST_STATES, PairedContrast
from skiplab.analysis.statistics.intervals import Interval
from skiplab.metrics import Metric

_AT_BOUND = 0.01


def contrast_notes(paired: PairedContrast, interval: Interval) -> tuple[str, ...]:
    """What a reader has to know about the trials behind a contrast's interval."""
    if paired.missing:
        return (paired.missing,)
    notes = [note for arm, states in paired.states.items() for note in state_notes(arm, states, paired.metric)]
    sides = {"smaller": paired.may_be_smaller, "greater": paired.may_be_greater}
    if open_sides := [side for side, is_open in sides.items() if is_open]:
        notes.append(f"the true effect may be {' or '.join(open_sides)} than shown")
    if paired.survivors_only:
        which = " or ".join(LOST_STATES[state] for state in paired.lost_states)
        notes.append(f"trials {which} have no value of this metric: no verdict on survivors alone")
    if not paired.is_paired:
        own = f"{paired.control.count()} of {paired.contrast.control}, {paired.treatment.count()} of"
        notes.append(f"the arms share no seed: compared as unpaired (Welch), {own} {paired.contrast.treatment}")
    elif lacking := int(np.isnan(paired.advantage.to_numpy()).sum()):
        notes.append(f"{lacking} of {len(paired.advantage)} seeds lack a pair")
    if interval.constant:
        notes.append("all seeds are equal, which says nothing about their spread: no interval")
    if bound := _shared_bound(paired):
        notes.append(
            f"both arms lie within {_AT_BOUND:g} of the bound {bound}: this metric has no room to tell them apart"
        )
    return tuple(notes)


def _shared_bound(paired: PairedContrast) -> str:
    """The end of a bounded metric's range near which both arms lie, else ''."""
    if paired.metric.scale != "bounded" or paired.contrast.kind != "difference":
        return ""
    means = (paired.control.mean(), paired.treatment.mean())
    return next((f"{bound}" for bound in (0, 1) if all(abs(mean - bound) < _AT_BOUND for mean in means)), "")


def state_notes(arm: str, states: Mapping[str, int], metric: Metric) -> list[str]:
    """How many of an arm's trials have no value, or one that needs explaining."""
    explained = {
        "censored": "" if metric.floor is None else f" at or below floor {metric.floor:g}",
        "diverged": f" diverged{_counted_as(metric)}",
        "not reached": " not reached in training, counted with a lower bound",
    }
    unfinished = ("failed", "running", "interrupted")
    order = ("diverged", *unfinished, "without a value", "not finite", "not positive", "censored", "not reached")
    return [f"{arm}: {states[state]}{explained.get(state, f' {state}')}" for state in order if states[state]]


def _counted_as(metric: Metric) -> str:
    if metric.if_diverged is None:
        return ""
    value = metric.if_diverged if isinstance(metric.if_diverged, str) else f"{metric.if_diverged:g}"
    return f", counted as {value}"
