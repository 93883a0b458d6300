"""How much of alpha each of several looks at a growing study may spend."""

import math
from collections.abc import Sequence
from itertools import pairwise


def alpha_per_look(looks: Sequence[int], alpha: float) -> list[float]:
    """Divide alpha among looks at rising numbers of seeds n.

        spent(n) = alpha ln(1 + (e - 1) n / n_last),   a look's part = spent(n) - spent(previous look)

    Each look is tested at its own part. So the chance of any false finding is at most alpha, whatever the dependence
    between looks (Bonferroni).

    Source: Lan and DeMets 1983, Discrete sequential boundaries for clinical trials, section 4, alpha_2*.
    Differs from the source: later looks don't get wider bounds in exchange for unspent alpha, which would need
    normally distributed means.
    """
    spent = [0.0, *(alpha * math.log1p((math.e - 1) * n / looks[-1]) for n in looks)]
    return [after - before for before, after in pairwise(spent)]
