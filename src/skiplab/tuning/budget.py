"""What every combination is given in tuning: the same rates and seeds, and as many further options and settings."""

import math
from typing import NamedTuple

from skiplab.errors import SkiplabError

_FEWEST_RATES = 5
_SMALLEST_FACTOR = 1.2  # nearer rates would read alike


class Budget(NamedTuple):
    """What every combination is given.

    num_rates: learning rates at the start, at least 5.
    factor: the ratio of two neighboring rates, at least 1.2.
    widenings: how often the grid may be widened while a best rate is at its edge, at least 0.
    seeds: those of the tuning trials.
    also: options and settings to try besides rates, each 'KEY=V1,V2', or 'ARM:KEY=V1,V2' for one arm.
    unequal: whether arms may be given different numbers of values.
    """

    num_rates: int
    factor: float
    widenings: int
    seeds: tuple[int, ...]
    also: tuple[str, ...]
    unequal: bool

    def check(self) -> None:
        """Refuse values out of range.

        Raises:
            SkiplabError: names the option.
        """
        if self.num_rates < _FEWEST_RATES:
            raise SkiplabError(f"--rates {self.num_rates} is too few to find a best; valid: at least {_FEWEST_RATES}")
        if not (math.isfinite(self.factor) and self.factor >= _SMALLEST_FACTOR):
            raise SkiplabError(
                f"--factor {self.factor:g} is invalid; valid: at least {_SMALLEST_FACTOR}, such as 2 or 3.16"
            )
        if self.widenings < 0:
            raise SkiplabError(f"--widenings {self.widenings} is invalid; valid: at least 0")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise SkiplabError(f"--seeds {','.join(map(str, self.seeds))} is invalid; valid: different whole numbers")
