"""The metric `collapsed`: 1 if a trial has learned next to nothing, else 0. It is derived from the trial's skill."""

import numpy as np
import pandas as pd

from skiplab.analysis.study.study import Study
from skiplab.metrics import Metric

COLLAPSED_BELOW = 0.05  # skill below which a trial, or the mean of an arm, has collapsed
COLLAPSED = "collapsed"
SKILLS = ("skill_train", "skill_val")
_METRIC = Metric(
    label=f"fraction of trials that collapsed (skill below {COLLAPSED_BELOW:g})",
    direction="lower",
    scale="bounded",
    kind="event",
)


def skill_metric(study: Study) -> str | None:
    """The metric that says whether a trial has collapsed; None where the study has none.

    In a table of results, a column of that name may be anything.
    """
    if study.arm_column is not None:
        return None
    return next((name for name in SKILLS if name in study.metrics), None)


def metrics_of(study: Study) -> dict[str, Metric]:
    """The study's metrics, and `collapsed` where it has a skill."""
    derived = {COLLAPSED: _METRIC} if skill_metric(study) else {}
    return {**study.metrics, **derived}


def has_collapsed(skills: pd.DataFrame) -> pd.DataFrame:
    """The rows of a skill with 1 as the value of those that have collapsed, and 0 of others; nan stays."""
    skill = skills["value"]
    return skills.assign(value=np.where(skill.isna(), np.nan, skill < COLLAPSED_BELOW))
