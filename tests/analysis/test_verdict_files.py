import numpy as np
import pandas as pd
import pytest
from example_claims import CLAIMS
from scipy import stats

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_files import write_verdicts
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.study.study import read_study


def test_the_file_holds_every_test_in_full_precision(fill, runs, claims_file):
    fill(effect=0.15, num_seeds=12)
    text = CLAIMS + "    evidence:\n      - {metric: loss_val, direction: lower, smallest_effect: 0.02}\n"
    verdicts = judge(read_study("s", runs.folder), read_claims(claims_file(text)))
    rows = pd.read_csv(write_verdicts(verdicts, runs.folder))
    assert list(rows["role"]) == ["part", "part", "evidence", "evidence"]
    cell, row = verdicts[0].cells[0].parts[0], rows.iloc[0]
    advantage = cell.paired.advantage
    assert (row["n"], row["conclusion"]) == (12, "supported")
    expected = stats.ttest_1samp(advantage, 0.0).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert row["bootstrap_low"] < row["advantage"] < row["bootstrap_high"]
    signs = stats.permutation_test(
        (advantage - 0.02,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="greater"
    )
    assert row["permutation_p"] == pytest.approx(signs.pvalue)
    assert row["probability_of_improvement"] == 1.0
    assert rows["cell_conclusion"].isna().tolist() == [False, False, True, True]
    assert set(rows["says"].dropna()) == {"Plain networks get worse with depth."}


def test_a_direction_turns_what_counts_as_improvement(fill, runs, claims_file):
    fill(effect=0.15)
    text = CLAIMS.replace("metric: skill_train", "metric: loss_val").replace("direction: higher", "direction: lower")
    verdicts = judge(read_study("s", runs.folder), read_claims(claims_file(text)))
    rows = pd.read_csv(write_verdicts(verdicts, runs.folder))
    assert set(rows["probability_of_improvement"]) == {1.0}
    assert (rows["advantage"] > 0).all()
    assert rows["bootstrap_low"].isna().all()  # five seeds are too few
    assert rows["permutation_p"].isna().all()
