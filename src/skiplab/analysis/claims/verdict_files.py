"""Verdicts as a CSV file in full precision, a row for each test in each cell."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from skiplab.analysis.claims.cell_verdicts import CellVerdict
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.output_files import write
from skiplab.analysis.statistics.intervals import no_interval
from skiplab.analysis.statistics.sample_size import SeedsRange
from skiplab.analysis.text import cell_text
from skiplab.records.spreadsheet import csv_text

VERDICTS = "verdicts.csv"


def write_verdicts(verdicts: Sequence[Verdict], folder: Path) -> Path:
    """Write verdicts.csv; returns its path."""
    return write(folder / VERDICTS, csv_text(verdicts_table(verdicts)))


def verdicts_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A row for each test in each cell.

    claim_conclusion, caveats: of the whole claim.
    cell_conclusion: of the claim in this cell, all parts together; evidence has none.
    role: 'part' for a test that decides the claim, else 'evidence'.
    says: the words of the claim that the part tests.
    instead_of: the metric of the claim, where some seeds collapsed and the rate of collapse was judged for it.
    conclusion: of this test in this cell.
    advantage, and every _low and _high: on the metric's scale (of a log metric, differences of logarithms), positive in
        the claimed direction; `bootstrap_` from 10 seeds on.
    probability_of_improvement: that a seed of the arm claimed to be better exceeds one of the other.
    p_supported, p_contradicted: one-sided; Holm-adjusted over all parts of the file, or over all of its evidence.
    permutation_p: one-sided, of an advantage of at most the smallest effect (of 'not_higher' and 'not_lower', its
        negative), from 6 seeds on; not adjusted.
    seeds_low, seeds_high: estimates of the seeds that would decide an inconclusive cell.
    collapsed: the arms that have learned next to nothing.
    """
    return pd.DataFrame(
        [_row(verdict, role, cell, conclusion) for verdict in verdicts for role, cell, conclusion in _tests(verdict)]
    )


def _tests(verdict: Verdict) -> Iterator[tuple[str, CellVerdict, str]]:
    """Every test with its role, and what its claim says in its cell; the parts in their order."""
    for number in range(len(verdict.claim.parts)):
        yield from (("part", cell.parts[number], cell.conclusion) for cell in verdict.cells)
    yield from (("evidence", item, "") for item in verdict.evidence)


def _row(verdict: Verdict, role: str, cell: CellVerdict, cell_conclusion: str) -> dict[str, Any]:
    contrast = cell.test.contrast
    bootstrap, seeds = cell.bootstrap or no_interval(), cell.seeds or SeedsRange(None, None)
    return {
        "claim": verdict.claim.name,
        "claim_conclusion": verdict.conclusion,
        "caveats": "; ".join(verdict.caveats),
        "cell_conclusion": cell_conclusion,
        "role": role,
        "says": cell.test.says,
        "metric": contrast.metric,
        "scale": cell.paired.metric.scale,
        "contrast": contrast.name,
        "over": contrast.over,
        "control": contrast.control,
        "treatment": contrast.treatment,
        "direction": contrast.direction,
        "expected": contrast.expected if contrast.direction == "equal" else None,
        "smallest_effect": cell.test.smallest_effect,
        "instead_of": cell.claimed.contrast.metric if cell.test is not cell.claimed else "",
        "cell": cell_text(cell.cell),
        "conclusion": cell.conclusion,
        "n": cell.interval.n,
        "advantage": cell.interval.mean,
        "low": cell.interval.low,
        "high": cell.interval.high,
        "welch_low": cell.welch.low,
        "welch_high": cell.welch.high,
        "bootstrap_low": bootstrap.low,
        "bootstrap_high": bootstrap.high,
        "correlation": cell.correlation,
        "effect_size": cell.effect_size,
        "probability_of_improvement": cell.probability_of_improvement,
        "p_supported": cell.p.supported,
        "p_contradicted": cell.p.contradicted,
        "permutation_p": cell.permutation_p,
        "alpha": cell.look.alpha,
        "seeds_low": seeds.low,
        "seeds_high": seeds.high,
        "collapsed": "; ".join(cell.collapsed),
        "notes": "; ".join(cell.notes),
        "claims_sha256": verdict.claims_sha256,
    }
