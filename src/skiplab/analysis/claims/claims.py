"""Claims: what is asked of a study, and what would count as an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skiplab.analysis.claims.contrasts import Contrast

FEWEST_SEEDS = 3  # below which no verdict is given


@dataclass(frozen=True, kw_only=True)
class Test:
    """A contrast with the smallest effect that counts, on the metric's scale; None where none is declared."""

    contrast: Contrast
    smallest_effect: float | None

    @property
    def margin(self) -> float:
        return self.smallest_effect or 0.0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim: its primary test decides the verdict in each cell; the evidence can contest it."""

    name: str
    text: str
    source: str
    tested_part: str | None
    primary: Test
    cells: Mapping[str, Sequence[str]]
    evidence: tuple[Test, ...]


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The content of a claims file.

    collapsed_below: mean skill below which an arm has collapsed; None where no arm is called so.
    looks: the numbers of seeds at which the study is judged, each at its part of alpha; empty: once, with all seeds.
    caveats: what limits every verdict, such as that the claims were registered late.
    """

    question: str
    tuned: bool
    collapsed_below: float | None
    looks: tuple[int, ...]
    claims: tuple[Claim, ...]
    sha256: str
    caveats: tuple[str, ...] = ()

    @property
    def factor(self) -> str:
        """The factor that the first claim compares."""
        return self.claims[0].primary.contrast.factor

    @property
    def control(self) -> str:
        """The control of the first claim."""
        return self.claims[0].primary.contrast.control

    @property
    def metrics(self) -> list[str]:
        """The metrics of all claims and their evidence, each once."""
        tests = [test for claim in self.claims for test in (claim.primary, *claim.evidence)]
        return list(dict.fromkeys(test.contrast.metric for test in tests))
