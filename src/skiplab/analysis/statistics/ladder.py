"""The extension ladder: looks at so many seeds, declared before the first trial, each with its share of alpha."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from skiplab.analysis.study.study import Study


def spent(looks: Sequence[int], alpha: float) -> list[float]:
    """What each look may spend, so that all together spend alpha.

        spent(n) = alpha ln(1 + (e - 1) n / n_last),   a look's share = spent(n) - spent(look before)

    Each look is tested at its own share, so that the chance of any false one is at most alpha whatever the dependence
    between looks (Bonferroni).

    Source: Lan and DeMets 1983, Discrete sequential boundaries for clinical trials, section 4, alpha_2*.
    Differs from the source: shares are not traded for wider bounds at later looks, which needs many seeds' normality.
    """
    reached = [0.0, *(alpha * math.log1p((math.e - 1) * n / looks[-1]) for n in looks)]
    return [after - before for before, after in pairwise(reached)]


def first_seeds(study: Study, num_seeds: int) -> Study:
    """The study as it was with its lowest so many seeds."""
    seeds = sorted(study.trials["seed"].unique())[:num_seeds]
    return replace(study, trials=study.trials[study.trials["seed"].isin(seeds)].reset_index(drop=True))
