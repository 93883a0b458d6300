"""How often `skiplab decide` errs, decides, and at which cost, over simulated studies whose truth is known.

    python benchmarks/operating_characteristics.py [STUDIES]

Prints the table of docs/statistics.md: one claim in one cell, looks at 5, 10, 20 and 40 seeds, with the stopping of
`skiplab decide`; beside it a fixed design of 20 seeds, judged once. STUDIES simulated studies stand behind each row,
2,000 by default.
"""

import sys
from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple

import numpy as np
from error_rates import DELTA, one_test, percent
from stopping import LOOKS, TEST, has_little_chance, judged, paired, seen, verdicts

from skiplab.analysis.claims.cell_verdicts import Look, TestInCell
from skiplab.analysis.claims.collapse import Collapse
from skiplab.analysis.claims.rate_of_collapse import SMALLEST_RATE, of_rate_of_collapse, tests_rate_of_collapse
from skiplab.analysis.study.collapsed import COLLAPSED_BELOW
from skiplab.metrics import Metric

FIXED = 20
SKILL = Metric(label="skill", direction="higher", scale="bounded", if_diverged=0.0)
RATE = Metric(label="collapsed", direction="lower", scale="bounded", kind="event")
SKILL_TEST = one_test("skill_train", 0.02)
Arms = tuple[np.ndarray, np.ndarray]


class Truth(NamedTuple):
    """Simulated studies of one kind.

    draw: both arms, from a number of smallest effects and a generator.
    see: from both arms to the test in a cell.
    """

    draw: Callable[[float, np.random.Generator], Arms]
    see: Callable[[np.ndarray, np.ndarray], TestInCell]


def gaussian(effects: float, generator: np.random.Generator) -> Arms:
    shared, noise = generator.standard_normal((2, LOOKS[-1]))
    return shared, shared + effects * DELTA + noise


def skewed_arms(effects: float, generator: np.random.Generator) -> Arms:
    """Each arm has an exponential distribution, so that differences have heavy tails and no skew; their sd is 1."""
    plain, identity = generator.exponential(2**-0.5, (2, LOOKS[-1]))
    return plain, identity + effects * DELTA


def skewed(sign: int) -> Callable[[float, np.random.Generator], Arms]:
    """The differences have an exponential distribution, to the right or to the left, of mean 0 and sd 1."""

    def draw(effects: float, generator: np.random.Generator) -> Arms:
        shared, noise = generator.standard_normal(LOOKS[-1]), generator.exponential(1.0, LOOKS[-1]) - 1
        return shared, shared + effects * DELTA + sign * noise

    return draw


def collapses(effects: float, generator: np.random.Generator) -> Arms:
    """A tenth of residual networks collapse, and of plain ones as many and `effects` times the smallest rate more."""
    noise = 0.01 * generator.standard_normal((2, LOOKS[-1]))
    rates = np.array([[SMALLEST_RATE * (1 + effects)], [SMALLEST_RATE]])
    plain, identity = np.where(generator.random((2, LOOKS[-1])) < rates, 0.0, 0.7 + noise)
    return plain, identity


def see_skills(plain: np.ndarray, identity: np.ndarray) -> TestInCell:
    """The test of skill, or of the rate of collapse if some seeds of an arm have collapsed and others haven't."""
    events = [(arm < COLLAPSED_BELOW).astype(float) for arm in (plain, identity)]
    is_partial = any(0 < each.mean() < 1 for each in events)
    collapse = Collapse(notes=("in some seeds",) if is_partial else ())
    skills = paired(SKILL_TEST, SKILL, plain, identity)
    if not tests_rate_of_collapse(SKILL_TEST, skills, collapse):
        return TestInCell(SKILL_TEST, SKILL_TEST, skills, collapse)
    test = of_rate_of_collapse(SKILL_TEST, ())  # of a difference, which is over no levels
    return TestInCell(SKILL_TEST, test, paired(test, RATE, *events), collapse)


TRUTHS = {
    "Gaussian": Truth(gaussian, seen),
    "each arm skewed": Truth(skewed_arms, seen),
    "differences skewed to the right": Truth(skewed(1), seen),
    "differences skewed to the left": Truth(skewed(-1), seen),
    "some seeds collapse": Truth(collapses, see_skills),
}
EFFECTS = {"none": 0.0, "exactly δ": 1.0, "2 δ": 2.0}


def row(kind: str, words: str, num_studies: int) -> str:
    """A row of the table; a generator of its own, so that rows don't depend on each other."""
    truth, generator = TRUTHS[kind], np.random.default_rng(list(f"{kind} {words}".encode()))
    ends, seeds, fixed = [], [], 0
    for _ in range(num_studies):
        plain, identity = truth.draw(EFFECTS[words], generator)
        for look, verdict in zip(LOOKS, verdicts(plain, identity, truth.see), strict=False):
            if look == LOOKS[-1] or verdict.conclusion != "inconclusive" or has_little_chance(verdict, look):
                break
        ends.append(verdict.conclusion)
        seeds.append(look)
        once = judged(truth.see(plain[:FIXED], identity[:FIXED]), Look())
        fixed += once.conclusion != "inconclusive"
    counts = [ends.count("supported"), ends.count("contradicted"), num_studies - ends.count("inconclusive")]
    shares = " | ".join(percent(count, num_studies) for count in counts)
    return f"| {kind} | {words} | {shares} | {fmean(seeds):.1f} | {percent(fixed, num_studies)} |"


def main(num_studies: int) -> None:
    assert TEST.smallest_effect == DELTA
    print(f"| values | true effect | supported | contradicted | decided | seeds, mean | decided by {FIXED} seeds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in TRUTHS:
        for words in EFFECTS:
            print(row(kind, words, num_studies), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
