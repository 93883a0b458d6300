"""What the ladder of `skiplab decide` costs and decides, over simulated studies whose truth is known.

    python benchmarks/stopping.py [STUDIES]

Prints the table of docs/decide.md: one claim in one cell, looks at 5, 10, 20 and 40 seeds, three rules of stopping.
STUDIES simulated studies stand behind each row, 1,000 by default.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pandas as pd
from error_rates import DELTA, one_test, percent

from skiplab.analysis.claims.cell_verdicts import (
    ALPHA,
    AdjustedP,
    CellVerdict,
    Look,
    TestInCell,
    judge_cell,
    p_contradicted,
    p_supported,
)
from skiplab.analysis.claims.claims import Test
from skiplab.analysis.claims.collapse import Collapse
from skiplab.analysis.claims.contrasts import Events, PairedContrast
from skiplab.analysis.claims.ladder import OpenTest
from skiplab.analysis.statistics.alpha_spending import alpha_per_look
from skiplab.deciding.outlook import outlook
from skiplab.metrics import Metric

LOOKS = (5, 10, 20, 40)
EFFECTS = {
    "none": 0.0,
    "exactly δ": DELTA,
    "δ + 0.5 sd": DELTA + 0.5,
    "δ + 1 sd": DELTA + 1.0,
    "δ + 2 sd": DELTA + 2.0,
}
TEST, METRIC = one_test("score", DELTA), Metric(label="score", direction="higher")


class Climbed(NamedTuple):
    """Where a ladder ended: the seeds that it took, and what it concluded."""

    seeds: int
    conclusion: str


def verdicts(
    plain: np.ndarray, identity: np.ndarray, see: Callable[..., TestInCell] | None = None
) -> Iterator[CellVerdict]:
    """The verdict at each look at both arms, up to the one that decides; see: from two arms to a test in a cell."""
    for look, alpha in zip(LOOKS, alpha_per_look(LOOKS, ALPHA), strict=True):
        verdict = judged((see or seen)(plain[:look], identity[:look]), Look(alpha, look))
        yield verdict
        if verdict.conclusion != "inconclusive":
            return


def judged(found: TestInCell, look: Look) -> CellVerdict:
    """The verdict on the only test of a file."""
    return judge_cell(found, AdjustedP(p_supported(found), p_contradicted(found), 1), look=look)


def seen(plain: np.ndarray, identity: np.ndarray) -> TestInCell:
    """The test of a score of any size."""
    return TestInCell(TEST, TEST, paired(TEST, METRIC, plain, identity), Collapse())


def paired(test: Test, metric: Metric, plain: np.ndarray, identity: np.ndarray) -> PairedContrast:
    """The difference of two arms, whose values stand in the order of their seeds."""
    control, treatment = pd.Series(plain), pd.Series(identity)
    sign, events = test.contrast.claimed_sign, None
    if metric.kind == "event":
        events = tuple(Events(int(arm.sum()), len(arm), own) for arm, own in ((control, -sign), (treatment, sign)))
    return PairedContrast(
        contrast=test.contrast,
        cell={},
        metric=metric,
        advantage=sign * (treatment - control),
        control=control,
        treatment=treatment,
        states={},
        lost_states=(),
        events=events,
    )


def climb(plain: np.ndarray, identity: np.ndarray) -> list[Climbed]:
    """The ladder with each rule of stopping."""
    looked = list(zip(LOOKS, verdicts(plain, identity), strict=False))
    return [
        next(
            Climbed(look, verdict.conclusion)
            for look, verdict in looked
            if (look, verdict) == looked[-1] or stops(verdict, look)
        )
        for stops in RULES.values()
    ]


def has_little_chance(verdict: CellVerdict, look: int) -> bool:
    """The rule of `skiplab decide`."""
    following = LOOKS[LOOKS.index(look) + 1]
    test = OpenTest(claim="c", says="", verdict=verdict, next_look=following, trials=())
    return bool(outlook(test, [], LOOKS, LOOKS).stops)


def needs_more_than_the_last_look(verdict: CellVerdict, look: int) -> bool:
    """Whether even the lowest estimate of the seeds that would decide lies beyond the last look."""
    return verdict.seeds is not None and (verdict.seeds.low is None or verdict.seeds.low > LOOKS[-1])


RULES: dict[str, Callable[[CellVerdict, int], bool]] = {
    "never": lambda verdict, look: False,
    "at a chance below 10%": has_little_chance,
    "if the mean, as it is, needs more than 40 seeds": needs_more_than_the_last_look,
}


def rows(words: str, num_studies: int) -> list[str]:
    """A row for each rule, over the same studies."""
    generator, found = np.random.default_rng(list(words.encode())), []
    for _ in range(num_studies):
        shared, noise = generator.standard_normal((2, LOOKS[-1]))
        found.append(climb(shared, shared + EFFECTS[words] + noise))
    return [row(words, rule, climbed) for rule, climbed in zip(RULES, zip(*found, strict=True), strict=True)]


def row(words: str, rule: str, found: Sequence[Climbed]) -> str:
    supported = sum(each.conclusion == "supported" for each in found)
    decided = sum(each.conclusion != "inconclusive" for each in found)
    seeds = fmean(each.seeds for each in found)
    return f"| {words} | {rule} | {percent(supported, len(found))} | {percent(decided, len(found))} | {seeds:.1f} |"


def main(num_studies: int) -> None:
    print("| true effect | stops | supported | decided | seeds, mean |")
    print("| --- | --- | --- | --- | --- |")
    for words in EFFECTS:
        print(*rows(words, num_studies), sep="\n", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
