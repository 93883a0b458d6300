"""How often intervals hold the truth and verdicts are wrong, over simulated studies whose truth is known.

    python benchmarks/error_rates.py [STUDIES]

Prints the tables of docs/statistics.md; STUDIES simulated studies stand behind each number, 2,000 by default. All goes
from trials to verdicts through the same code as a study's report. Takes about ten minutes on two cores.
"""

import sys
from collections.abc import Callable
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
    claims = one_claim(DELTA, looks)
    return sum(
        any(
            cell.conclusion == "supported"
            for verdict in judge(simulated(advantage, num_seeds, num_cells, generator), claims)
            for cell in verdict.cells
        )
        for _ in range(num_studies)
    )


def simulated(advantage: float, num_seeds: int, num_cells: int, generator: np.random.Generator) -> Study:
    """Two arms in each cell that share what their seed brings, with Gaussian differences of standard deviation 1."""
    shared, noise = generator.standard_normal((2, num_cells, num_seeds))
    rows = [
        {"connection": arm, "cell": cell, "seed": seed, "score": shared[cell, seed] + plus[cell, seed]}
        for cell in range(num_cells)
        for seed in range(num_seeds)
        for arm, plus in (("plain", 0 * noise), ("identity", advantage + noise))
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
        metrics={"score": Metric(label="score", direction="higher")},
        charts={},
        measured_by={},
        first_starts={},
        missing={},
        records={key: {"choices": {}, "factors": {}} for key in trials["key"]},
        tuned=None,
        problems=(),
    )


def one_claim(smallest_effect: float, looks: tuple[int, ...]) -> Claims:
    contrast = Contrast(metric="score", kind="difference", factor="connection", control="plain", treatment="identity")
    test = Test(contrast=contrast, smallest_effect=smallest_effect)
    claim = Claim(name="c", text="", source="", tested_part=None, parts=(test,), cells={}, evidence=())
    return Claims(question="", tuned=False, claims=(claim,), looks=looks, sha256="")


def percent(count: int, total: int) -> str:
    interval = binomtest(count, total).proportion_ci(method="exact")
    return f"{100 * count / total:.1f}% [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def share_of(case: tuple[str, float, int, int, tuple[int, ...]], num_studies: int) -> str:
    """One row of the table of verdicts; a generator of its own, so that rows don't depend on each other."""
    words, effect, num_seeds, num_cells, looks = case
    generator = np.random.default_rng(list(f"{case}".encode()))
    count = share_supported(effect, num_seeds, num_cells, looks, num_studies, generator)
    seeds = f"{num_seeds}, looks at {', '.join(map(str, looks))}" if looks else f"{num_seeds}"
    return f"| {words} | {seeds} | {num_cells} | {num_studies:,} | {percent(count, num_studies)} |"


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
        for row in pool.map(share_of, cases, (num_studies if case[3] == 1 else num_studies // 2 for case in cases)):
            print(row, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
