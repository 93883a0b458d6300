"""What the ladder of `skiplab decide` costs and decides, over simulated studies whose truth is known.

    python benchmarks/stopping.py [STUDIES]

Prints the table of docs/decide.md: one claim in one cell, looks at 5, 10, 20 and 40 seeds, with and without stopping a
test that has little chance left. STUDIES simulated studies stand behind each row, 1,000 by default.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

import numpy as np
from error_rates import DELTA, one_claim, percent, simulated

from skiplab.analysis.claims.ladder import open_tests
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


def climb(study: Study) -> tuple[Climbed, Climbed]:
    """The ladder of a study whose seeds are all there already, to its end and with stopping."""
    claims, stopped = one_claim("score", DELTA, LOOKS), None
    for look in LOOKS:
        trials = study.trials.loc[study.trials["seed"] < look].reset_index(drop=True)
        seen = replace(study, trials=trials)
        left = open_tests(seen, claims)
        if not left:
            break
        if stopped is None and outlook(left[0], POINTS, LOOKS, LOOKS).stops:
            stopped = Climbed(look, "inconclusive")
    (verdict,) = judge(seen, claims)
    whole = Climbed(look, verdict.conclusion)
    return whole, stopped or whole


def rows(words: str, num_studies: int) -> list[str]:
    """Both rows of an effect, over the same studies."""
    generator, found = np.random.default_rng(list(words.encode())), []
    for _ in range(num_studies):
        shared, noise = generator.standard_normal((2, 1, LOOKS[-1]))
        arms = {"plain": {"score": shared}, "identity": {"score": shared + EFFECTS[words] + noise}}
        found.append(climb(simulated(arms, {"score": Metric(label="score", direction="higher")})))
    return [row(words, stops, climbed) for stops, climbed in zip(("no", "yes"), zip(*found, strict=True), strict=True)]


def row(words: str, stops: str, found: Sequence[Climbed]) -> str:
    supported = sum(each.conclusion == "supported" for each in found)
    decided = sum(each.conclusion != "inconclusive" for each in found)
    seeds = fmean(each.seeds for each in found)
    return f"| {words} | {stops} | {percent(supported, len(found))} | {percent(decided, len(found))} | {seeds:.1f} |"


def main(num_studies: int) -> None:
    print("| true effect | stops early | supported | decided | seeds, mean |")
    print("| --- | --- | --- | --- | --- |")
    with ProcessPoolExecutor(2) as pool:
        for lines in pool.map(rows, EFFECTS, [num_studies] * len(EFFECTS)):
            print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
