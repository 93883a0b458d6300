"""The best depth at equal cost, of studies whose costs and outcomes are made up."""

import math

import numpy as np
import pandas as pd
import pytest

from skiplab.analysis.figures.equal_cost_figure import equal_cost_figure
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.equal_cost import TRAINING_LOSS, best_at, equal_cost_metric, equal_cost_table
from skiplab.analysis.tables.training_cost import last_falls, losses_at, training_costs
from skiplab.errors import SkiplabError

STEPS, BATCH = 100, 8
# Means of skill by depth: plain is best at depth 4, identity at depth 16.
SKILL = {"plain": {4: 0.6, 8: 0.5, 16: 0.1}, "identity": {4: 0.55, 8: 0.7, 16: 0.8}}
PER_STEP = 3 * 1000 * BATCH  # FLOPs of a step at depth 1


@pytest.fixture
def study(runs):
    for arm, by_depth in SKILL.items():
        for depth, skill in by_depth.items():
            for seed in range(4):
                key = runs.trial(
                    seed=seed,
                    choices={"connection": arm},
                    factors={"depth": depth, "batch_size": BATCH, "trainer.max_steps": STEPS},
                    summary={"skill_train": skill + 0.01 * seed, "loss_val": 1 - skill},
                    parity={"flops_per_sample": 1000 * depth},
                    provenance={"wall_seconds": depth * (2.0 if arm == "plain" else 3.0)},
                )
                # exp(-rate * step): every depth learns at a rate of its own, identity ones still at the end
                rate = 0.01 if arm == "identity" else 0.0
                rows = [f"{step},loss,{math.exp(-rate * step * depth / 16)}" for step in range(STEPS)]
                text = "\n".join(["step,metric,value", *rows, ""])
                (runs.folder / key / "history.csv").write_text(text, encoding="utf-8")
    return read_study("s", runs.folder)


def rows_of(table: pd.DataFrame, metric: str, cost: str) -> dict[tuple[float, str], pd.Series]:
    own = table.loc[(table["metric"] == metric) & (table["cost"] == cost)]
    return {(row["budget"], row["arm"]): row for _, row in own.iterrows()}


def test_each_arm_takes_the_best_depth_that_it_can_afford(study) -> None:
    found = rows_of(equal_cost_table(study, "skill_train"), "skill_train", "flops")
    budgets = {depth: PER_STEP * depth * STEPS for depth in (4, 8, 16)}
    best = {(depth, arm): found[budgets[depth], arm]["best"] for depth in budgets for arm in SKILL}
    assert best == {
        (4, "plain"): 4, (8, "plain"): 4, (16, "plain"): 4,
        (4, "identity"): 4, (8, "identity"): 8, (16, "identity"): 16,
    }  # fmt: skip
    assert len(found) == 6
    row = found[budgets[16], "identity"]
    assert row["mean"] == row["optimistic"] == pytest.approx(0.815)  # seeds add 0 to 0.03
    assert row["effect"] == pytest.approx(0.2)
    assert (row["effect_low"], row["effect_high"]) == pytest.approx((0.2, 0.2))  # seeds cancel in pairs
    assert row["low"] < row["mean"] < row["high"]
    assert row["n"] == 4
    assert found[budgets[4], "identity"]["effect"] == pytest.approx(-0.05)
    assert np.isnan(found[budgets[16], "plain"]["effect"])


def test_budgets_of_seconds_are_those_of_the_slower_arm(study) -> None:
    found = rows_of(equal_cost_table(study, "skill_train"), "skill_train", "seconds")
    assert sorted({budget for budget, _ in found}) == [12, 24, 48]
    assert found[24, "identity"]["best"] == 8


def test_an_arm_that_can_afford_nothing_has_no_row(runs) -> None:
    for arm, depths in {"plain": (2, 4), "identity": (4,)}.items():
        for depth in depths:
            for seed in (0, 1):
                runs.trial(
                    seed=seed, choices={"connection": arm}, factors={"depth": depth, "batch_size": 1},
                    summary={"skill_train": 0.5}, parity={"flops_per_sample": depth},
                )  # fmt: skip
    found = rows_of(equal_cost_table(read_study("s", runs.folder), "skill_train"), "skill_train", "flops")
    assert set(found) == {(600, "plain"), (1200, "plain"), (1200, "identity")}  # 100 steps were taken


def test_the_training_loss_is_compared_where_the_budget_is_spent(study) -> None:
    """At equal FLOPs, identity's loss is exp(-rate * FLOPs), whatever its depth, until its training ends."""
    table = equal_cost_table(study, "skill_train")
    found = rows_of(table, TRAINING_LOSS, "flops")
    budget = PER_STEP * 4 * STEPS
    row = found[budget, "identity"]
    steps = {4: 100, 8: 50, 16: 25}
    means = {  # of the last 5 steps, a twentieth of 100
        depth: np.mean([np.exp(-0.01 * step * depth / 16) for step in range(count - 5, count)])
        for depth, count in steps.items()
    }
    assert row["best"] == min(means, key=means.get)
    assert row["mean"] == pytest.approx(min(means.values()))
    assert row["effect"] == pytest.approx(min(means.values()))  # plain's loss is 1
    assert row["effect_kind"] == "ratio"
    costs = training_costs(study)
    for depth, mean in means.items():
        chosen = (study.trials["connection"] == "identity") & (study.trials["depth"] == depth)
        assert np.exp(losses_at(study, costs, budget)[chosen]).to_numpy() == pytest.approx([mean] * 4)


def test_a_loss_that_still_falls_is_noted(study) -> None:
    """Over 20 steps, identity of depth 16 falls by 1 - exp(-0.2), plain by nothing."""
    falls = last_falls(study)
    deep = (study.trials["connection"] == "identity") & (study.trials["depth"] == 16)
    assert falls[deep].to_numpy() == pytest.approx([1 - np.exp(-0.2)] * 4)
    assert falls[study.trials["connection"] == "plain"].to_numpy() == pytest.approx([0.0] * 12)
    found = rows_of(equal_cost_table(study, "skill_train"), "skill_train", "flops")
    budget = max(budget for budget, _ in found)
    assert "still falling: the loss fell by 18.1% over the last fifth" in found[budget, "identity"]["notes"]
    assert found[budget, "plain"]["notes"] == ""


def test_no_seed_chooses_its_own_depth() -> None:
    """Of depths that are equal but for noise, the best mean flatters, and held-out values don't."""
    random, gaps = np.random.default_rng(0), []
    for _ in range(400):
        best = best_at(pd.DataFrame(random.normal(size=(4, 6)), columns=range(6)), "higher")
        gaps.append((best.held_out.mean(), best.optimistic))
    held_out, optimistic = np.mean(gaps, axis=0)
    assert abs(held_out) < 0.1  # the standard error is about 0.03
    assert optimistic > 0.5
    values = pd.DataFrame({4: [1.0, 0.0, 0.0], 8: [0.4, 0.4, 0.4]})
    best = best_at(values, "higher")
    assert best.level == 8
    assert best.levels == {8: 1, 4: 2}  # without seed 0, 0 against 0.4; without another, 0.5
    assert best.held_out.tolist() == [0.4, 0.0, 0.0]
    assert best_at(values, "lower").level == 4


def test_a_depth_that_has_no_value_yet_hides_no_other() -> None:
    values = pd.DataFrame({4: [1.0, 2.0, 3.0], 8: [np.nan] * 3, 16: [0.0, np.nan, 0.0]})
    best = best_at(values, "higher")
    assert (best.level, list(best.held_out.index)) == (4, [0, 2])
    assert best_at(values[[8]], "higher") is None


def test_a_diverged_trial_counts_with_the_loss_that_it_began_with(runs) -> None:
    key = runs.trial(status="diverged", factors={"batch_size": 1})
    (runs.folder / key / "history.csv").write_text("step,metric,value\n0,loss,2.0\n1,loss,1e9\n", encoding="utf-8")
    study = read_study("s", runs.folder)
    assert losses_at(study, training_costs(study), 1e12).tolist() == [math.log(2)]


def test_one_seed_cannot_hold_out_its_choice(runs) -> None:
    for depth in (4, 8):
        runs.trial(factors={"depth": depth, "batch_size": 1}, summary={"skill_train": depth / 10})
    table = equal_cost_table(read_study("s", runs.folder), "skill_train", factor="connection")
    row = rows_of(table, "skill_train", "flops")[8e6 * 3 * 100 / 8, "plain"]
    assert row["optimistic"] == 0.8
    assert np.isnan(row["mean"])
    assert "one seed" in row["notes"]


def test_the_figure_has_a_line_for_each_arm_and_depth_and_an_envelope(study) -> None:
    (ax,) = equal_cost_figure(study).axes
    assert len(ax.lines) == 8
    assert {line.get_linewidth() for line in ax.lines} >= {6}
    ends = sorted({float(line.get_xdata()[-1]) for line in ax.lines})
    assert ends[-1] == pytest.approx(PER_STEP * 16 * STEPS, rel=0.01)
    for line in ax.lines:
        if line.get_linewidth() == 6:
            assert (np.diff(line.get_ydata()) <= 0).all()


def test_trials_of_unknown_cost_have_no_line_and_no_row(runs) -> None:
    for arm in SKILL:
        for depth in (4, 8):  # without batch_size
            key = runs.trial(choices={"connection": arm}, factors={"depth": depth}, summary={"skill_train": 0.5})
            (runs.folder / key / "history.csv").write_text("step,metric,value\n0,loss,2.0\n", encoding="utf-8")
    study = read_study("s", runs.folder)
    assert [len(ax.lines) for ax in equal_cost_figure(study).axes] == [0]
    assert set(equal_cost_table(study, "skill_train")["cost"]) == {"seconds"}


def test_refuses_what_it_cannot_order(study) -> None:
    with pytest.raises(SkiplabError, match="valid in study 's': depth; choose with --over"):
        equal_cost_table(study, "skill_train", over="connection")
    with pytest.raises(SkiplabError, match="valid in study 's': none"):
        equal_cost_table(study, "skill_train", factor="depth")
    assert equal_cost_metric(study, ["loss_val", "skill_train"]) == "loss_val"
