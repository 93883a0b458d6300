"""Metrics: the scalars in a record's summary.

Each instrument and evaluator declares its metrics once. The record stores the declarations, so the analysis doesn't
import what measured them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One scalar outcome of a trial.

    label: its name in tables and on axes, with units.
    direction: which values are better; None if neither.
    scale: how differences are formed: 'linear' a - b, 'log' log a - log b (reported as the ratio a / b),
        'bounded' a - b of a value that lies in [0, 1] (its intervals are clipped to [-1, 1]).
    floor: values at or below it are censored and shown as 'at or below floor'; None for no floor.
    if_diverged: the value that a diverged trial counts with; 'measured' if the trial's own value counts; None if the
        metric has no value then.
    reached: the name of a metric that is 1 if the value was reached in training and 0 if not, so that the value is only
        a lower bound (right-censored); None if values are never censored like this.
    kind: which values it takes, and so which tests it needs. 'continuous': any; 'event': 1 if something happened in
        the trial, else 0; 'count': a number of events per unit of exposure, such as spikes in 1,000 steps.
    exposure: of a count, the name of the metric that holds the units of exposure of the trial, such as its steps in
        thousands; the number of events is value times exposure. None for other kinds.
    role: 'outcome' if it says how well the network does its task or how its training went, which has a meaning for an
        arm that learned nothing too; 'mechanism' if it says what happens inside, which has none then.
    """

    label: str
    direction: Literal["higher", "lower"] | None
    scale: Literal["linear", "log", "bounded"] = "linear"
    floor: float | None = None
    if_diverged: float | Literal["measured"] | None = None
    reached: str | None = None
    kind: Literal["continuous", "event", "count"] = "continuous"
    exposure: str | None = None
    role: Literal["outcome", "mechanism"] = "outcome"


def missing_text(missing: Mapping[str, str]) -> str:
    """The missing numbers of a trial, grouped by reason, such as 'no precision, recall: 3 of 9 samples ...'."""
    reasons = dict.fromkeys(missing.values())
    by_reason = {why: [name for name, own in missing.items() if own == why] for why in reasons}
    return "; ".join(f"no {', '.join(names)}: {why}" for why, names in by_reason.items())
