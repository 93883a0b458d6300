"""Verdicts as a CSV file in full precision, a row for each test in each cell."""

import math
from collections.abc import Sequence
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


def write_verdicts(verdicts: Sequence[Verdict], folder: Path) -> Path:
    """Write verdicts.csv; returns its path."""
    return write(folder / "verdicts.csv", csv_text(verdicts_table(verdicts)))


def verdicts_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A row for each test in each cell.

    claim_conclusion, caveats: of the whole claim.
    role: 'primary' for the test that decides the claim, else 'evidence'.
    conclusion: of this test in this cell.
    advantage, and every _low and _high: on the metric's scale (of a log metric, differences of logarithms), positive in
        the claimed direction; `bootstrap_` from 10 seeds on.
    probability_of_improvement: that a seed of the arm claimed to be better exceeds one of the other.
    p_supported, p_contradicted: one-sided, Holm-adjusted over the primary tests; evidence has none.
    permutation_p: one-sided, of an advantage of at most the smallest effect, from 6 seeds on; not adjusted.
    seeds_low, seeds_high: estimates of the seeds that would decide an inconclusive cell.
    collapsed: the arms that have learned next to nothing.
    """
    return pd.DataFrame(
        [
            _row(verdict, role, cell)
            for verdict in verdicts
            for role, cells in (("primary", verdict.cells), ("evidence", verdict.evidence))
            for cell in cells
        ]
    )


def _row(verdict: Verdict, role: str, cell: CellVerdict) -> dict[str, Any]:
    contrast, primary = cell.test.contrast, role == "primary"
    bootstrap, seeds = cell.bootstrap or no_interval(), cell.seeds or SeedsRange(None, None)
    return {
        "claim": verdict.claim.name,
        "claim_conclusion": verdict.conclusion,
        "caveats": "; ".join(verdict.caveats),
        "role": role,
        "metric": contrast.metric,
        "scale": cell.paired.metric.scale,
        "contrast": contrast.kind,
        "over": contrast.over,
        "control": contrast.control,
        "treatment": contrast.treatment,
        "direction": contrast.direction,
        "expected": contrast.expected if contrast.direction == "equal" else None,
        "smallest_effect": cell.test.smallest_effect,
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
        "p_supported": cell.p.supported if primary else math.nan,
        "p_contradicted": cell.p.contradicted if primary else math.nan,
        "permutation_p": cell.permutation_p,
        "alpha": cell.look.alpha,
        "seeds_low": seeds.low,
        "seeds_high": seeds.high,
        "collapsed": "; ".join(cell.collapsed),
        "notes": "; ".join(cell.notes),
        "claims_sha256": verdict.claims_sha256,
    }
