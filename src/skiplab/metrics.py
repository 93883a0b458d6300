"""What a metric is: its direction, scale and meaning, declared once by the file that measures it.

Instruments and evaluators declare the scalars that they put into a record's summary; the record carries
the declarations, so the analysis knows them without importing what measured them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One scalar outcome of a trial.

    label: what a table or an axis calls it, units included.
    direction: which values are better; None where neither is.
    scale: how differences are formed: 'linear' a - b, 'log' log a - log b (reported as the ratio a / b),
        'bounded' a - b of a value that lies in [0, 1] (its intervals are clipped to [-1, 1]).
    floor: values at or below it are censored and shown as 'at or below floor'; None where there is none.
    if_diverged: the value that a diverged trial counts with; 'measured' where its own record holds one; None where no
        value can stand for it.
    reached: the name of a metric that is 1 where the value was reached in training and 0 where it was not, so that the
        value is only a lower bound (right-censored); None where every value is what it says.
    """

    label: str
    direction: Literal["higher", "lower"] | None
    scale: Literal["linear", "log", "bounded"] = "linear"
    floor: float | None = None
    if_diverged: float | Literal["measured"] | None = None
    reached: str | None = None


def missing_text(missing: Mapping[str, str]) -> str:
    """Which numbers of a trial are missing, by their reasons, such as 'no precision, recall: 3 of 9 samples ...'."""
    reasons = dict.fromkeys(missing.values())
    by_reason = {why: [name for name, own in missing.items() if own == why] for why in reasons}
    return "; ".join(f"no {', '.join(names)}: {why}" for why, names in by_reason.items())
