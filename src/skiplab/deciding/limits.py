"""How far the ladder may go: a budget of time, and a greatest number of seeds."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from skiplab.errors import SkiplabError

_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_BUDGET = re.compile(r"(\d+(?:\.\d+)?) *(s|min|m|h|d)", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """What the user allows.

    budget: seconds by the clock; None for no limit.
    max_seeds: looks with more seeds are left out; None for no limit.
    dry_run: whether to say what it may cost and train nothing.
    """

    budget: float | None = None
    max_seeds: int | None = None
    dry_run: bool = False

    def affordable(self, looks: Sequence[int]) -> tuple[int, ...]:
        """The declared looks that are within the limit.

        Raises:
            SkiplabError: none is.
        """
        found = tuple(look for look in looks if self.max_seeds is None or look <= self.max_seeds)
        if not found:
            raise SkiplabError(
                f"--max-seeds {self.max_seeds} leaves no look, because the first is at {looks[0]} seeds; valid: at "
                f"least {looks[0]} (the claims declare looks at {', '.join(map(str, looks))})"
            )
        return found


def parse_budget(text: str) -> float:
    """The seconds that a budget such as 90min, 2h or 1.5d stands for.

    Raises:
        SkiplabError: it isn't a time above 0.
    """
    found = _BUDGET.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not (seconds > 0 and math.isfinite(seconds)):
        raise SkiplabError(f"--budget {text} is no time; valid: a number above 0 with s, min, h or d, such as 90min")
    return seconds
