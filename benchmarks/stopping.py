"""What the ladder of `skiplab decide` costs and decides, over simulated studies whose truth is known.

    python benchmarks/stopping.py [STUDIES]

Prints the table of docs/decide.md: one claim in one cell, looks at 5, 10, 20 and 40 seeds, with and without stopping a
test that has little chance left. STUDIES simulated studies stand behind each row, 1,000 by default.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

import numpy as np
from error_rates import DELTA, one_claim, percent, simulated

from skiplab.analysis.claims.ladder import OpenTest, open_tests
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.study.study import Study
from skiplab.deciding.ladder_sweep import Point
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
POINTS = [Point((), None, {"connection": arm}) for arm in ("plain", "identity")]  # pyright: ignore[reportArgumentType]


class Climbed(NamedTuple):
    """Where a ladder ended: the seeds that it took, and what it concluded."""

    seeds: int
    conclusion: str


def climb(study: Study, *, stopping: bool) -> Climbed:
    """The ladder of a study whose seeds are all there already."""
    claims = one_claim("score", DELTA, LOOKS)
    for look in LOOKS:
        trials = study.trials.loc[study.trials["seed"] < look].reset_index(drop=True)
        seen = replace(study, trials=trials)
        left = open_tests(seen, claims)
        if not left or (stopping and stops(left[0])):
            break
    (verdict,) = judge(seen, claims)
    return Climbed(look, verdict.conclusion)


def stops(test: OpenTest) -> bool:
    return bool(outlook(test, POINTS, LOOKS, LOOKS).stops)


def row(words: str, stopping: bool, num_studies: int) -> str:
    """One row of the table; both rows of an effect see the same studies."""
    generator, found = np.random.default_rng(list(words.encode())), []
    for _ in range(num_studies):
        shared, noise = generator.standard_normal((2, 1, LOOKS[-1]))
        arms = {"plain": {"score": shared}, "identity": {"score": shared + EFFECTS[words] + noise}}
        found.append(climb(simulated(arms, {"score": Metric(label="score", direction="higher")}), stopping=stopping))
    supported = sum(each.conclusion == "supported" for each in found)
    decided = sum(each.conclusion != "inconclusive" for each in found)
    seeds = fmean(each.seeds for each in found)
    cells = [words, "yes" if stopping else "no", percent(supported, num_studies), percent(decided, num_studies)]
    return f"| {' | '.join(cells)} | {seeds:.1f} |"


def main(num_studies: int) -> None:
    print("| true effect | stops early | supported | decided | seeds, mean |")
    print("| --- | --- | --- | --- | --- |")
    cases = [(words, stopping) for words in EFFECTS for stopping in (False, True)]
    with ProcessPoolExecutor(2) as pool:
        for line in pool.map(row, *zip(*cases, strict=True), [num_studies] * len(cases)):
            print(line, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
