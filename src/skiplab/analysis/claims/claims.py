"""Claims: what is asked of a study, and what would count as an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from skiplab.analysis.claims.contrasts import Contrast

FEWEST_SEEDS = 3  # below which no verdict is given


@dataclass(frozen=True, kw_only=True)
class Test:
    """A contrast with the smallest effect that counts, on the metric's scale; None where none is declared.

    says: of a part of a claim, the words of the claim's text that it tests; '' for evidence.
    reads: for each phrase of those words, what it stands for in the test, see `skiplab.analysis.claims.sentence`.
    """

    contrast: Contrast
    smallest_effect: float | None
    says: str = ""
    reads: Mapping[str, str] = field(default_factory=dict)

    @property
    def margin(self) -> float:
        return self.smallest_effect or 0.0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim: it holds in a cell where all of its parts do; the evidence can contest it there.

    corrected: the day on which its test was changed after trials that it judges; None if it wasn't.
    """

    name: str
    text: str
    source: str
    tested_part: str | None
    parts: tuple[Test, ...]
    cells: Mapping[str, Sequence[str]]
    evidence: tuple[Test, ...]
    corrected: date | None = None

    @property
    def tests(self) -> tuple[Test, ...]:
        """The tests of the parts, and those of the evidence."""
        return (*self.parts, *self.evidence)


@dataclass(frozen=True, kw_only=True, eq=False)  # so that verdicts can be cached for each
class Claims:
    """The content of a claims file.

    looks: the numbers of seeds at which the study is judged, each at its part of alpha; empty: once, with all seeds.
    sha256: of the file; '' for claims that stand in none.
    caveats: what limits every verdict, such as that the claims were registered late.
    """

    question: str
    tuned: bool
    looks: tuple[int, ...]
    claims: tuple[Claim, ...]
    sha256: str
    caveats: tuple[str, ...] = ()

    @property
    def factor(self) -> str:
        """The factor that the first claim compares."""
        return self.claims[0].parts[0].contrast.factor

    @property
    def control(self) -> str:
        """The control of the first claim."""
        return self.claims[0].parts[0].contrast.control

    @property
    def metrics(self) -> list[str]:
        """The metrics of all claims and their evidence, each once."""
        tests = [test for claim in self.claims for test in claim.tests]
        return list(dict.fromkeys(test.contrast.metric for test in tests))
