"""A trial that exploded, or gave no finite number, is never left to the survivors' advantage in silence."""

import io
import math

import pandas as pd
import pytest
from rich.console import Console

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.contrasts import Contrast, compute_contrast
from skiplab.analysis.claims.verdict_text import cell_line
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.page.report import write_report
from skiplab.analysis.study.metric_values import scale_metric
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.analysis.tables.table_command import table_command
from skiplab.metrics import Metric

OVERFLOW = "512 of 512 samples aren't finite numbers"


def three_seeds(runs, **exploded):
    """Plain has skill .50, .52 and a third trial that exploded, identity .40, .41, .42."""
    for seed, skill in enumerate((0.40, 0.41, 0.42)):
        runs.trial(
            seed=seed, choices={"connection": "identity"}, summary={"skill_train": skill, "frechet_distance": 2.0}
        )
    for seed, skill in enumerate((0.50, 0.52)):
        runs.trial(
            seed=seed, choices={"connection": "plain"}, summary={"skill_train": skill, "frechet_distance": 1.0 + seed}
        )
    runs.trial(seed=2, choices={"connection": "plain"}, **exploded)
    return read_study("s", runs.folder)


def lacking(runs):
    """The third trial is done, and its samples overflow."""
    return three_seeds(runs, summary={"skill_train": 0.0}, missing={"frechet_distance": OVERFLOW})


@pytest.mark.parametrize("exploded", [{"status": "diverged"}, {"summary": {"skill_train": 0.0}}])
def test_an_exploded_trial_counts_with_the_skill_of_none(runs, exploded):
    row = comparison_table(three_seeds(runs, **exploded), metrics=["skill_train"]).frame.iloc[0]
    assert row["n"] == 3
    assert (row["effect"], row["low"], row["high"]) == pytest.approx((0.07, -0.68, 0.82), abs=0.005)


def test_the_same_trial_as_failed_would_turn_the_sign(runs):
    row = comparison_table(three_seeds(runs, status="failed"), metrics=["skill_train"]).frame.iloc[0]
    assert (row["effect"], row["low"], row["high"]) == pytest.approx((-0.105, -0.169, -0.041), abs=0.0006)


def test_a_number_that_is_not_finite_leaves_no_effect_to_the_others(runs):
    study = lacking(runs)
    contrast = Contrast(
        metric="frechet_distance", kind="difference", factor="connection", control="plain", treatment="identity"
    )
    paired = compute_contrast(study, contrast, {})
    assert paired.states["plain"] == {"measured": 2, "not finite": 1}
    assert paired.lost_states == ("not finite",)
    row = comparison_table(study, metrics=["frechet_distance"]).frame.iloc[0]
    assert math.isnan(row["effect"])
    assert row["n"] == 2
    assert row["notes"].startswith(
        "plain: 1 not finite; trials that gave no finite number have no value of this metric: no verdict on survivors "
        "alone; 1 of 3 seeds lack a pair"
    )
    console = Console(width=100, record=True, file=io.StringIO())
    table_command("s", runs.folder, metrics=["frechet_distance"], console=console)
    assert "plain: 1 not finite" in console.export_text()


def test_a_number_that_was_never_asked_for_is_no_loss(runs):
    study = three_seeds(runs, summary={"skill_train": 0.0})
    contrast = Contrast(
        metric="frechet_distance", kind="difference", factor="connection", control="plain", treatment="identity"
    )
    paired = compute_contrast(study, contrast, {})
    assert paired.states["plain"]["without a value"] == 1
    assert not paired.survivors_only


def test_a_value_below_zero_on_a_log_scale_is_a_loss_too(runs):
    study = three_seeds(runs, summary={"skill_train": 0.0, "frechet_distance": -1e-9})
    contrast = Contrast(
        metric="frechet_distance", kind="difference", factor="connection", control="plain", treatment="identity"
    )
    assert compute_contrast(study, contrast, {}).lost_states == ("not positive",)


def test_no_verdict_rests_on_those_that_gave_a_number(runs, claims_file):
    claims = """\
factor: connection
control: plain
treatment: identity
claims:
  - {name: c, text: t, metric: frechet_distance, contrast: difference, direction: lower, smallest_effect: 0.01}
"""
    for seed in range(5):
        runs.trial(seed=seed, choices={"connection": "plain"}, summary={"frechet_distance": 8.0 + 0.01 * seed})
        runs.trial(seed=seed, choices={"connection": "identity"}, summary={"frechet_distance": 2.0})
    (verdict,) = judge(read_study("s", runs.folder), read_claims(claims_file(claims)))
    assert verdict.conclusion == "supported"
    runs.trial(seed=5, choices={"connection": "plain"}, summary={"frechet_distance": 8.0})
    runs.trial(seed=5, choices={"connection": "identity"}, summary={}, missing={"frechet_distance": OVERFLOW})
    (verdict,) = judge(read_study("s", runs.folder), read_claims(claims_file(claims)))
    assert verdict.conclusion == "inconclusive"
    assert (verdict.cells[0].parts[0].p.supported, verdict.cells[0].parts[0].p.contradicted) == (1.0, 1.0)
    assert "identity: 1 not finite" in cell_line(verdict.cells[0].parts[0]).notes


def test_a_cell_without_any_finite_number_keeps_its_row(runs):
    for seed in range(2):
        for arm in ("plain", "identity"):
            runs.trial(
                seed=seed, choices={"connection": arm}, summary={"frechet_distance": 1.0 + seed}, factors={"depth": 4}
            )
            runs.trial(
                seed=seed, choices={"connection": arm}, missing={"frechet_distance": OVERFLOW}, factors={"depth": 8}
            )
    table = comparison_table(read_study("s", runs.folder), metrics=["frechet_distance"]).frame.set_index("depth")
    assert table.index.tolist() == [4, 8]
    assert "plain: 2 not finite; identity: 2 not finite" in table.at[8, "notes"]


@pytest.mark.usefixtures("undrawn")
def test_reasons_are_on_the_page_and_kept_with_the_study(runs):
    study = lacking(runs)
    runs.trial(seed=3, choices={"connection": "plain"}, status="diverged", diverged_because="its loss exploded")
    again = read_study("s", runs.folder)
    assert read_study("s", runs.folder).missing == again.missing == study.missing
    assert list(study.missing.values()) == [{"frechet_distance": OVERFLOW}]
    page = write_report(again, None).read_text().replace("&#39;", "'")
    assert f"no frechet_distance: {OVERFLOW}" in page
    assert "diverged at step 7: its loss exploded" in page
    assert "and lacks no number" not in page


def test_an_infinite_value_of_a_diverged_trial_is_none():
    """Else its seed drops out of the mean, and survivors decide alone."""
    trials = pd.DataFrame({"key": ["a", "b"], "status": ["diverged", "done"], "area": [math.inf, 1.0]})
    metric = Metric(label="area", direction="lower", if_diverged="measured")
    found = scale_metric(trials, "area", metric)
    assert math.isnan(found["value"][0])
    assert list(found["state"]) == ["diverged", "measured"]
