"""How often intervals hold the truth and verdicts are wrong, over simulated studies whose truth is known.

    python benchmarks/error_rates.py [STUDIES]

Prints the tables of docs/statistics.md; STUDIES simulated studies stand behind each number, 2,000 by default. All goes
from trials to verdicts through the same code as a study's report. Takes about ten minutes on two cores.
"""

import itertools
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from skiplab.analysis.claims.claims import Claim, Claims, Test
from skiplab.analysis.claims.contrasts import Contrast
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.statistics.intervals import paired_interval
from skiplab.analysis.study.study import Study
from skiplab.metrics import Metric

SEEDS = (3, 5, 10, 30)
DELTA = 0.5  # the smallest effect that counts, in standard deviations of a difference
POWER_AT = {3: 4.0, 5: 2.0, 10: 1.1}  # by how much the true effect exceeds it, in the same unit
NUM_CELLS, LOOKS = 16, (3, 5, 10)

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
# Differences between the arms of mean 0 and standard deviation 1.
DIFFERENCES: dict[str, Draw] = {
    "Gaussian": lambda generator, shape: generator.standard_normal(shape),
    "heavy tails (t, 3 degrees of freedom)": lambda generator, shape: generator.standard_t(3, shape) / 3**0.5,
    "skewed (exponential)": lambda generator, shape: generator.exponential(size=shape) - 1,
    "strongly skewed (lognormal)": lambda generator, shape: standardised_lognormal(generator, shape),
    "bimodal, halves": lambda generator, shape: two_points(generator, shape, 0.5),
    "bimodal, one seed in ten collapses": lambda generator, shape: two_points(generator, shape, 0.1),
}


DrawArm = Callable[[np.random.Generator, tuple[int, ...]], dict[str, np.ndarray]]
# Metrics of few values: of both arms alike, so that any verdict is wrong. A count has an exposure of half a unit.
EXPOSURE = 0.5
DISCRETE = {
    "score": Metric(label="score", direction="higher"),
    "event": Metric(label="event", direction="higher", scale="bounded", kind="event"),
    "count": Metric(label="count", direction="higher", kind="count", exposure="exposure"),
    "exposure": Metric(label="exposure", direction=None),
}


def lattice(sd: float) -> DrawArm:
    """Whole numbers: of a Gaussian of this standard deviation, rounded."""
    return lambda generator, shape: {"score": np.round(sd * generator.standard_normal(shape))}


def event(rate: float) -> DrawArm:
    return lambda generator, shape: {"event": (generator.random(shape) < rate).astype(float)}


def count(rate: float, overdispersion: float = 0.0) -> DrawArm:
    """Events in half a unit of exposure at this rate; overdispersed if each trial has a rate of its own."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        own = generator.gamma(1 / overdispersion, overdispersion, shape) if overdispersion else np.ones(shape)
        values = generator.poisson(rate * EXPOSURE * own) / EXPOSURE
        return {"count": values, "exposure": np.full(shape, EXPOSURE)}

    return draw


EQUAL_ARMS: dict[str, DrawArm] = {
    "one of about three values": lattice(0.5),
    "one of about five values": lattice(1.0),
    "one of about twenty values": lattice(4.0),
    "an event in half of the trials": event(0.5),
    "an event in one trial of twenty": event(0.05),
    "a count of 1 a trial": count(1 / EXPOSURE),
    "a count of 20 a trial": count(20 / EXPOSURE),
    "a count of 20 a trial, overdispersed tenfold": count(20 / EXPOSURE, 0.5),
}
EQUAL_SEEDS, EQUAL_CELLS = (3, 6, 10), (6, 16)
CONTESTED = (6, 2)  # cells, and metrics of the evidence


def standardised_lognormal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    mean, sd = np.exp(0.5), np.sqrt((np.e - 1) * np.e)
    return (generator.lognormal(size=shape) - mean) / sd


def two_points(generator: np.random.Generator, shape: tuple[int, ...], share: float) -> np.ndarray:
    """Two clusters of width 0.1, the lower with this share of the seeds."""
    sd = np.sqrt(share * (1 - share) + 0.01)
    low = generator.random(shape) < share
    return (np.where(low, share - 1, share) + 0.1 * generator.standard_normal(shape)) / sd


def coverage(draw: Draw, num_seeds: int, num_studies: int, generator: np.random.Generator) -> float:
    """Share of studies whose 95% paired-t interval holds the true mean."""
    intervals = [paired_interval(row) for row in draw(generator, (num_studies, num_seeds))]
    return sum(each.low <= 0 <= each.high for each in intervals) / num_studies


def share_supported(
    advantage: float,
    num_seeds: int,
    num_cells: int,
    looks: tuple[int, ...],
    num_studies: int,
    generator: np.random.Generator,
) -> int:
    """How many studies have a supported claim, one claim a cell, when the true advantage is the same in all."""
    claims = one_claim("score", DELTA, looks)
    metrics = {"score": Metric(label="score", direction="higher")}
    shape = (num_cells, num_seeds)
    found = 0
    for _ in range(num_studies):
        shared, noise = generator.standard_normal((2, *shape))
        arms = {"plain": {"score": shared}, "identity": {"score": shared + advantage + noise}}
        found += is_supported(simulated(arms, metrics), claims)
    return found


def share_supported_of_equal_arms(
    draw: DrawArm, num_seeds: int, num_cells: int, num_studies: int, generator: np.random.Generator
) -> int:
    """How many studies have a supported claim, one claim a cell, when both arms are drawn alike; no smallest effect."""
    shape, found = (num_cells, num_seeds), 0
    for _ in range(num_studies):
        arms = {arm: draw(generator, shape) for arm in ("plain", "identity")}
        metric = next(iter(arms["plain"]))
        found += is_supported(
            simulated(arms, {name: DISCRETE[name] for name in arms["plain"]}), one_claim(metric, 0.0, ())
        )
    return found


def share_contested(num_seeds: int, num_cells: int, num_evidence: int, num_studies: int, generator) -> int:
    """How many studies have a contested claim, when it is true in all cells and its evidence knows nothing of it."""
    names = [f"evidence{number}" for number in range(num_evidence)]
    evidence = tuple(one_test(name, 0.0) for name in names)
    claims = one_claim("score", 0.0, (), evidence)
    metrics = {name: Metric(label=name, direction="higher") for name in ("score", *names)}
    found = 0
    for _ in range(num_studies):
        arms = {
            arm: {"score": generator.standard_normal((num_cells, num_seeds)) + better}
            | {name: generator.standard_normal((num_cells, num_seeds)) for name in names}
            for arm, better in (("plain", 0.0), ("identity", 30.0))
        }
        (verdict,) = judge(simulated(arms, metrics), claims)
        assert verdict.count("supported") == num_cells
        found += verdict.num_contested > 0
    return found


def is_supported(study: Study, claims: Claims) -> bool:
    """Whether any claim is supported in any cell."""
    return any(verdict.count("supported") for verdict in judge(study, claims))


def simulated(arms: Mapping[str, Mapping[str, np.ndarray]], metrics: Mapping[str, Metric]) -> Study:
    """A study with these values of each arm's metrics, by cell and seed."""
    num_cells, num_seeds = next(iter(arms["plain"].values())).shape
    rows = [
        {"connection": arm, "cell": cell, "seed": seed, **{name: each[cell, seed] for name, each in values.items()}}
        for cell in range(num_cells)
        for seed in range(num_seeds)
        for arm, values in arms.items()
    ]
    trials = pd.DataFrame(rows).assign(status="done", key=[f"{index:016x}" for index in range(len(rows))])
    return Study(
        name="simulated",
        runs_dir=Path(),
        folder=Path(),
        listed_in=(),
        trials=trials,
        factors=("connection", "cell") if num_cells > 1 else ("connection",),
        constants={},
        metrics=dict(metrics),
        charts={},
        measured_by={},
        first_starts={},
        missing={},
        records={key: {"choices": {}, "factors": {}} for key in trials["key"]},
        tuned=None,
        problems=(),
        files={},
    )


def one_test(metric: str, smallest_effect: float) -> Test:
    contrast = Contrast(metric=metric, kind="difference", factor="connection", control="plain", treatment="identity")
    return Test(contrast=contrast, smallest_effect=smallest_effect)


def one_claim(metric: str, smallest_effect: float, looks: tuple[int, ...], evidence: tuple[Test, ...] = ()) -> Claims:
    test = one_test(metric, smallest_effect)
    claim = Claim(name="c", text="", source="", tested_part=None, parts=(test,), cells={}, evidence=evidence)
    return Claims(question="", tuned=False, claims=(claim,), looks=looks, sha256="")


def percent(count: int, total: int) -> str:
    interval = binomtest(count, total).proportion_ci(method="exact")
    return f"{100 * count / total:.1f}% [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def row_of_verdicts(case: tuple[str, float, int, int, tuple[int, ...]], num_studies: int) -> str:
    """One row of the table of verdicts; a generator of its own, so that rows don't depend on each other."""
    words, effect, num_seeds, num_cells, looks = case
    generator = np.random.default_rng(list(f"{case}".encode()))
    count = share_supported(effect, num_seeds, num_cells, looks, num_studies, generator)
    seeds = f"{num_seeds}, looks at {', '.join(map(str, looks))}" if looks else f"{num_seeds}"
    return f"| {words} | {seeds} | {num_cells} | {num_studies:,} | {percent(count, num_studies)} |"


def row_of_equal_arms(name: str, num_cells: int, num_studies: int) -> str:
    """One row of the table of metrics with few values."""
    generator = np.random.default_rng(list(f"{name}, {num_cells}".encode()))
    found = [share_supported_of_equal_arms(EQUAL_ARMS[name], n, num_cells, num_studies, generator) for n in EQUAL_SEEDS]
    return f"| {name} | {num_cells} | {' | '.join(percent(count, num_studies) for count in found)} |"


def row_of_contested(num_seeds: int, num_studies: int) -> str:
    generator = np.random.default_rng(num_seeds)
    count = share_contested(num_seeds, *CONTESTED, num_studies, generator)
    return f"| {num_seeds} | {CONTESTED[0]} | {CONTESTED[1]} | {num_studies:,} | {percent(count, num_studies)} |"


def main(num_studies: int) -> None:
    generator = np.random.default_rng(0)
    print(f"Share of {num_studies:,} simulated studies whose 95% interval holds the true mean difference:\n")
    print(f"| differences between seeds | {' | '.join(f'{n} seeds' for n in SEEDS)} |")
    print(f"| --- |{' --- |' * len(SEEDS)}")
    for name, draw in DIFFERENCES.items():
        found = [f"{100 * coverage(draw, n, num_studies, generator):.1f}%" for n in SEEDS]
        print(f"| {name} | {' | '.join(found)} |")
    print(
        "\nFraction of simulated studies that support a claim, with its exact 95% interval; Gaussian differences, and a"
    )
    print(f"smallest effect that counts, δ, of {DELTA} standard deviations:\n")
    print("| true effect | seeds | cells | studies | with a supported claim |")
    print("| --- | --- | --- | --- | --- |")
    cases = [
        *((words, DELTA + more * (words != "exactly δ"), n, 1, ())
          for n, more in POWER_AT.items() for words in ("exactly δ", f"δ + {more:g} sd")),
        ("exactly δ", DELTA, LOOKS[-1], 1, LOOKS),
        *(("none", 0.0, n, NUM_CELLS, ()) for n in POWER_AT),
        ("exactly δ in all cells", DELTA, 5, NUM_CELLS, ()),
    ]  # fmt: skip
    with ProcessPoolExecutor(2) as pool:
        sizes = [num_studies if case[3] == 1 else num_studies // 2 for case in cases]
        for row in pool.map(row_of_verdicts, cases, sizes):
            print(row, flush=True)
        each = num_studies // 2
        print(
            f"\nFraction of {each:,} simulated studies that support a claim though both arms are drawn alike, with its"
        )
        print("exact 95% interval; no smallest effect:\n")
        print(f"| the metric's values | cells | {' | '.join(f'{n} seeds' for n in EQUAL_SEEDS)} |")
        print(f"| --- | --- |{' --- |' * len(EQUAL_SEEDS)}")
        rows = list(itertools.product(EQUAL_ARMS, EQUAL_CELLS))
        for row in pool.map(row_of_equal_arms, *zip(*rows, strict=True), [each] * len(rows)):
            print(row, flush=True)
        print("\nFraction of simulated studies whose claim, true in all cells, is contested by evidence that knows")
        print("nothing of it; no smallest effect:\n")
        print("| seeds | cells | evidence | studies | contested |")
        print("| --- | --- | --- | --- | --- |")
        for row in pool.map(row_of_contested, EQUAL_SEEDS, [each] * len(EQUAL_SEEDS)):
            print(row, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
