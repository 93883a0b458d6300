import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.effects_table import effects_table
from skiplab.errors import SkiplabError

DEPTHS, SKIPS, ARMS = (4, 8, 32), ("none", "concat"), ("plain", "identity")


@pytest.fixture
def values(runs):
    """Every cell's value in 4 seeds, with a three-way interaction, as records and as a frame."""
    generator, rows = np.random.default_rng(0), []
    for seed, depth, skip, arm in itertools.product(range(4), DEPTHS, SKIPS, ARMS):
        value = 1.0 + 0.2 * seed + 0.1 * np.log2(depth) * (arm == "plain") * (1 + (skip == "none"))
        value += 0.05 * generator.standard_normal()
        rows.append({"seed": seed, "depth": depth, "long_skip": skip, "arm": arm, "value": value})
        runs.trial(
            seed=seed,
            choices={"connection": arm, "long_skip": skip},
            factors={"depth": depth},
            summary={"loss_val": value, "frechet_distance": float(np.exp(value))},
        )
    return pd.DataFrame(rows)


def test_effects_are_those_of_a_linear_model_with_centred_factors(runs, values):
    effects = effects_table(read_study("s", runs.folder), "loss_val").set_index("effect_of")
    doublings = np.log2(values["depth"])
    coded = values.assign(
        a=np.where(values["arm"] == "identity", 0.5, -0.5),
        s=np.where(values["long_skip"] == "concat", 0.5, -0.5),
        d=doublings - doublings.mean(),
    )
    model = smf.ols("value ~ C(seed) + a * s * d", coded).fit().params
    arm, skip, depth = "connection identity over plain", "long_skip concat over none", "depth, per doubling"
    named = {arm: "a", skip: "s", depth: "d"}
    assert len(effects) == 7
    for words, row in effects.iterrows():
        parts = sorted((named[part] for part in words.split(" × ")), key="asd".index)
        assert row["effect"] == pytest.approx(model[":".join(parts)], rel=1e-9)


def test_intervals_and_p_are_scipys_on_the_numbers_of_each_seed(runs, values):
    effects = effects_table(read_study("s", runs.folder), "loss_val").set_index("effect_of")
    means = values.groupby(["seed", "arm"])["value"].mean().unstack()
    expected = stats.ttest_rel(means["identity"], means["plain"])
    row = effects.loc["connection identity over plain"]
    low, high = expected.confidence_interval()
    assert (row["low"], row["high"], row["p"]) == pytest.approx((low, high, expected.pvalue), rel=1e-9)
    assert row["n"] == 4
    assert (effects["p_holm"] >= effects["p"]).all()


def test_a_log_metric_has_ratios(runs, values):
    study = read_study("s", runs.folder)
    linear, log = effects_table(study, "loss_val"), effects_table(study, "frechet_distance")
    assert list(log["effect"]) == pytest.approx(list(np.exp(linear["effect"])))
    assert set(log["effect_kind"]) == {"ratio"}


def test_seeds_that_lack_a_cell_are_left_out(runs, values):
    runs.trial(
        seed=9, choices={"connection": "plain", "long_skip": "none"}, factors={"depth": 4}, summary={"loss_val": 99.0}
    )
    assert set(effects_table(read_study("s", runs.folder), "loss_val")["n"]) == {4}


def test_a_grid_with_a_hole_is_refused(runs):
    for arm, depth in (("plain", 4), ("plain", 8), ("identity", 4)):
        runs.trial(choices={"connection": arm}, factors={"depth": depth}, summary={"loss_val": 1.0})
    with pytest.raises(SkiplabError, match="1 of 4 cells have no value, such as arm identity, depth 8"):
        effects_table(read_study("s", runs.folder), "loss_val")


def test_an_unknown_metric_is_named(runs, values):
    valid = "valid: loss_val, frechet_distance; did you mean 'loss_val'"
    with pytest.raises(SkiplabError, match=f"unknown metric 'loss'; {valid}"):
        effects_table(read_study("s", runs.folder), "loss")
