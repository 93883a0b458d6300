import math
from dataclasses import asdict

import numpy as np
import pytest

from skiplab.analysis.claims.contrasts import Contrast, compute_contrast
from skiplab.analysis.claims.notes import contrast_notes
from skiplab.analysis.statistics.intervals import paired_interval
from skiplab.analysis.study.arms import cells
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric

ARMS = {"factor": "connection", "control": "plain", "treatment": "identity"}


def add(runs, arm, seed, depth=4, status="done", **summary):
    runs.trial(seed=seed, choices={"connection": arm}, factors={"depth": depth}, summary=summary, status=status)


def test_difference_is_treatment_minus_control_by_seed(runs):
    for seed, plain, identity in ((0, 0.3, 0.5), (1, 0.4, 0.45)):
        add(runs, "identity", seed, skill_train=identity)
        add(runs, "plain", seed, skill_train=plain)
    study = read_study("s", runs.folder)
    higher = compute_contrast(study, Contrast(metric="skill_train", kind="difference", **ARMS), {})
    lower = compute_contrast(study, Contrast(metric="skill_train", kind="difference", direction="lower", **ARMS), {})
    assert higher.advantage.to_dict() == pytest.approx({0: 0.2, 1: 0.05})
    assert lower.advantage.to_dict() == pytest.approx({0: -0.2, 1: -0.05})


def test_a_log_metric_is_compared_in_logs(runs):
    add(runs, "plain", 0, frechet_distance=80.0)
    add(runs, "identity", 0, frechet_distance=20.0)
    contrast = Contrast(metric="frechet_distance", kind="difference", direction="lower", **ARMS)
    assert compute_contrast(read_study("s", runs.folder), contrast, {}).advantage[0] == pytest.approx(math.log(4))


def test_slopes_and_their_interaction_are_per_doubling(runs):
    skills = {"plain": (0.9, 0.6, 0.2), "identity": (0.8, 0.85, 0.8)}
    for arm, values in skills.items():
        for depth, skill in zip((4, 8, 16), values, strict=True):
            add(runs, arm, 0, depth, skill_train=skill)
    study = read_study("s", runs.folder)
    expected = {arm: np.polyfit([2, 3, 4], values, 1)[0] for arm, values in skills.items()}
    slope = compute_contrast(study, Contrast(metric="skill_train", kind="slope", over="depth", **ARMS), {})
    both = compute_contrast(study, Contrast(metric="skill_train", kind="interaction", over="depth", **ARMS), {})
    assert slope.advantage[0] == pytest.approx(expected["identity"], abs=1e-12)
    assert both.advantage[0] == pytest.approx(expected["identity"] - expected["plain"])
    assert both.levels == (4, 8, 16)


def test_a_slope_looks_at_its_own_arm_alone(runs):
    for depth, skill in ((4, 0.9), (8, 0.6), (16, 0.3)):
        add(runs, "plain", 0, depth, skill_train=skill)
    contrast = Contrast(metric="skill_train", kind="slope", over="depth", **(ARMS | {"treatment": "plain"}))
    assert compute_contrast(read_study("s", runs.folder), contrast, {}).advantage[0] == pytest.approx(-0.3)


def test_a_rate_is_per_unit_and_a_law_is_what_there_is_above_it(runs):
    values = (0.9, 0.6, 0.2)
    for depth, skill in zip((4, 8, 16), values, strict=True):
        add(runs, "plain", 0, depth, skill_train=skill)
    plain = ARMS | {"treatment": "plain", "control": "identity"}
    contrast = Contrast(metric="skill_train", kind="rate", over="depth", direction="equal", expected=-0.05, **plain)
    found = compute_contrast(read_study("s", runs.folder), contrast, {})
    rate = np.polyfit([4, 8, 16], values, 1)[0]
    assert found.treatment[0] == pytest.approx(rate)
    assert found.advantage[0] == pytest.approx(rate + 0.05)


def test_a_seed_that_lacks_a_depth_has_no_slope(runs):
    for seed in (0, 1):
        for depth in (4, 8, 16):
            for arm in ("plain", "identity"):
                status = "failed" if (seed, depth, arm) == (1, 16, "plain") else "done"
                add(runs, arm, seed, depth, status, skill_train=0.5)
    contrast = Contrast(metric="skill_train", kind="interaction", over="depth", **ARMS)
    paired = compute_contrast(read_study("s", runs.folder), contrast, {})
    assert paired.advantage.isna().to_dict() == {0: False, 1: True}
    assert paired.states["plain"]["failed"] == 1
    assert not paired.survivors_only


def frozen(runs, losses, levels=(0.0, 0.25, 0.75)):
    """A study of two seeds in which an arm's loss depends on how much of it is frozen."""
    for arm, by_seed in losses.items():
        for seed, values in enumerate(by_seed):
            for level, loss in zip(levels, values, strict=True):
                factors = {"frozen_fraction": level}
                choices = {"connection": arm}
                runs.trial(
                    seed=seed, choices=choices, factors=factors, summary={"loss_val": loss, "frechet_distance": loss}
                )
    return read_study("s", runs.folder)


def test_a_change_is_from_the_lowest_level_to_the_highest(runs):
    losses = {"plain": [(0.5, 9.0, 0.8), (0.4, 9.0, 0.9)], "identity": [(0.2, 0.0, 0.3), (0.4, 0.0, 0.4)]}
    study = frozen(runs, losses)
    contrast = Contrast(metric="loss_val", kind="change", over="frozen_fraction", direction="lower", **ARMS)
    paired = compute_contrast(study, contrast, {})
    assert paired.levels == (0.0, 0.75)
    assert paired.control.to_dict() == pytest.approx({0: 0.3, 1: 0.5})
    assert paired.treatment.to_dict() == pytest.approx({0: 0.1, 1: 0.0})
    assert paired.advantage.to_dict() == pytest.approx({0: 0.2, 1: 0.5})
    assert paired.states["plain"] == {"measured": 4}  # two seeds at two levels


def test_a_change_of_a_log_metric_is_a_ratio_of_ratios(runs):
    study = frozen(runs, {"plain": [(1.0, 1.0, 8.0)], "identity": [(3.0, 1.0, 6.0)]})
    contrast = Contrast(metric="frechet_distance", kind="change", over="frozen_fraction", direction="lower", **ARMS)
    assert compute_contrast(study, contrast, {}).advantage[0] == pytest.approx(math.log(8 / 2))


def test_a_change_needs_both_ends_in_both_arms(runs):
    frozen(runs, {"plain": [(0.5, 0.5, 0.5)]})
    study = frozen(runs, {"identity": [(0.5, 0.5)]}, levels=(0.0, 0.25))
    contrast = Contrast(metric="loss_val", kind="change", over="frozen_fraction", **ARMS)
    assert compute_contrast(study, contrast, {}).missing == (
        "a change needs the lowest and the highest level of frozen_fraction in each arm"
    )


def late(runs, steps, arm, seed, *, reached=True, status="done"):
    add(runs, arm, seed, status=status, steps_to_threshold=steps, threshold_reached=float(reached))


STEPS = {"metric": "steps_to_threshold", "kind": "difference"}


def test_a_value_that_was_not_reached_is_a_lower_bound(runs):
    late(runs, 100.0, "plain", 0, reached=False)
    late(runs, 50.0, "plain", 1)
    late(runs, 100.0, "plain", 2, reached=False, status="diverged")
    late(runs, 40.0, "plain", 3, status="diverged")
    for seed in range(4):
        late(runs, 25.0, "identity", seed)
    study = read_study("s", runs.folder)
    lower = compute_contrast(study, Contrast(direction="lower", **STEPS, **ARMS), {})
    expected = {0: math.log(4), 1: math.log(2), 2: math.log(4), 3: math.log(1.6)}
    assert lower.advantage.to_dict() == pytest.approx(expected)
    assert lower.states["plain"] == {"not reached": 2, "measured": 1, "diverged": 1}
    assert not lower.survivors_only
    assert (lower.may_be_smaller, lower.may_be_greater) == (False, True)
    higher = compute_contrast(study, Contrast(direction="higher", **STEPS, **ARMS), {})
    assert (higher.may_be_smaller, higher.may_be_greater) == (True, False)


def test_a_diverged_trial_that_measured_nothing_is_missing(runs):
    add(runs, "plain", 0, status="diverged")
    late(runs, 25.0, "plain", 1)
    for seed in (0, 1):
        late(runs, 25.0, "identity", seed)
    paired = compute_contrast(read_study("s", runs.folder), Contrast(**STEPS, **ARMS), {})
    assert paired.advantage.isna().to_dict() == {0: True, 1: False}
    assert paired.survivors_only


def test_a_diverged_trial_counts_with_its_declared_value(runs):
    add(runs, "plain", 0, status="diverged")
    add(runs, "plain", 1, skill_train=0.5, loss_val=0.5)
    for seed in (0, 1):
        add(runs, "identity", seed, skill_train=0.75, loss_val=0.25)
    study = read_study("s", runs.folder)
    skill = compute_contrast(study, Contrast(metric="skill_train", kind="difference", **ARMS), {})
    assert skill.advantage.to_dict() == {0: 0.75, 1: 0.25}
    assert not skill.survivors_only
    loss = compute_contrast(study, Contrast(metric="loss_val", kind="difference", **ARMS), {})
    assert loss.advantage.isna().to_dict() == {0: True, 1: False}
    assert loss.survivors_only
    assert loss.states["plain"]["diverged"] == 1


def test_values_at_the_floor_are_censored(runs):
    add(runs, "plain", 0, update_ratio_first_block=0.0)
    add(runs, "identity", 0, update_ratio_first_block=1e-3)
    contrast = Contrast(metric="update_ratio_first_block", kind="difference", **ARMS)
    paired = compute_contrast(read_study("s", runs.folder), contrast, {})
    assert paired.advantage[0] == pytest.approx(math.log(1e-3 / 1e-12))
    assert paired.states["plain"]["censored"] == 1


def test_wanted_cells_are_listed_even_without_trials(runs):
    for arm in ("plain", "identity"):
        runs.trial(choices={"connection": arm, "long_skip": "concat"}, summary={"skill_train": 0.5})
    study = read_study("s", runs.folder)
    found = cells(study, "connection", wanted={"long_skip": ["none", "concat"]})
    assert found == [{"long_skip": "none"}, {"long_skip": "concat"}]
    contrast = Contrast(metric="skill_train", kind="difference", **ARMS)
    assert [compute_contrast(study, contrast, cell).missing for cell in found] == ["no trials of plain, identity", ""]


def test_arms_at_the_bound_are_named(runs):
    for seed in range(3):
        for arm, skill in (("plain", 0.995), ("identity", 0.999 - 0.001 * seed)):
            runs.trial(seed=seed, choices={"connection": arm}, summary={"skill_train": skill})
    study = read_study("s", runs.folder)
    contrast = Contrast(metric="skill_train", kind="difference", **ARMS)
    paired = compute_contrast(study, contrast, {})
    assert "within 0.01 of the bound 1" in contrast_notes(paired, paired_interval(paired.advantage))[-1]


def test_a_mean_over_depth_is_one_number_a_seed_and_needs_all_depths(runs):
    for seed, depths in ((0, (4, 8, 16)), (1, (4, 8, 16)), (2, (4, 8))):
        for depth in depths:
            add(runs, "plain", seed, depth, skill_train=0.1)
            add(runs, "identity", seed, depth, skill_train=0.1 + 0.01 * depth + 0.1 * seed)
    study = read_study("s", runs.folder)
    contrast = Contrast(metric="skill_train", kind="difference", mean_over=("depth",), **ARMS)
    assert cells(study, "connection", within=("depth",)) == [{}]
    paired = compute_contrast(study, contrast, {})
    assert paired.advantage.dropna().to_dict() == pytest.approx({0: 0.28 / 3, 1: 0.28 / 3 + 0.1})
    assert list(paired.advantage.index) == [0, 1, 2]


def test_a_slope_of_means_is_the_mean_of_slopes(runs):
    for long_skip, factor in (("none", 1.0), ("concat", 3.0)):
        for depth in (4, 8, 16):
            value = {"skill_train": factor * np.log2(depth) / 100}
            runs.trial(
                choices={"connection": "identity", "long_skip": long_skip}, factors={"depth": depth}, summary=value
            )
    contrast = Contrast(metric="skill_train", kind="slope", over="depth", mean_over=("long_skip",), **ARMS)
    assert compute_contrast(read_study("s", runs.folder), contrast, {}).advantage[0] == pytest.approx(0.02)


def test_the_events_of_one_seed_are_not_independent_at_the_levels_of_a_mean(runs):
    diverged = Metric(label="diverged", direction="lower", scale="bounded", kind="event", if_diverged=1.0)
    for seed in range(6):
        for depth in (4, 8):
            for arm in ("plain", "identity"):
                event = float(arm == "plain" and depth == 8 and seed < 2)
                runs.trial(
                    seed=seed,
                    choices={"connection": arm},
                    factors={"depth": depth},
                    summary={"diverged": event},
                    metrics={"diverged": asdict(diverged)},
                )
    contrast = Contrast(metric="diverged", kind="difference", direction="lower", mean_over=("depth",), **ARMS)
    paired = compute_contrast(read_study("s", runs.folder), contrast, {})
    assert paired.events == ((1.0, 6.0, 1.0), (0.0, 6.0, -1.0)), "two seeds, each in half of its trials"
    assert paired.advantage.to_dict() == {0: 0.5, 1: 0.5, 2: 0.0, 3: 0.0, 4: 0.0, 5: 0.0}


def test_a_mean_over_something_unknown_is_refused(runs):
    add(runs, "plain", 0, skill_train=0.1)
    contrast = Contrast(metric="skill_train", kind="difference", mean_over=("dept",), **ARMS)
    with pytest.raises(SkiplabError, match="unknown factor 'dept'"):
        compute_contrast(read_study("s", runs.folder), contrast, {})


@pytest.mark.parametrize(
    ("kind", "arm", "censored_depth", "smaller", "greater"),
    [
        ("difference", "identity", 4, True, False),
        ("difference", "plain", 4, False, True),
        ("interaction", "plain", 16, False, True),
        ("interaction", "plain", 4, True, False),
    ],
)
def test_a_floor_is_an_upper_bound(runs, kind, arm, censored_depth, smaller, greater):
    """The true value is lower: at the deep end of the plain arm the interaction is then greater still."""
    for depth in (4, 16):
        for each in ("plain", "identity"):
            value = 1e-13 if (each, depth) == (arm, censored_depth) else 1e-3
            summary = {"update_ratio_first_block": value}
            runs.trial(seed=0, choices={"connection": each}, factors={"depth": depth}, summary=summary)
    over = None if kind == "difference" else "depth"
    contrast = Contrast(metric="update_ratio_first_block", kind=kind, over=over, **ARMS)
    paired = compute_contrast(read_study("s", runs.folder), contrast, {"depth": 4} if over is None else {})
    assert (paired.may_be_smaller, paired.may_be_greater) == (smaller, greater)


@pytest.mark.parametrize("values", [(0.1, 0.7, 0.3), (84.217, 12.342, 67.119), (1e-3, 812.4, 6.02)])
def test_differences_that_are_equal_but_for_rounding_are_equal(runs, values):
    for seed, value in enumerate(values):
        add(runs, "plain", seed, loss_val=value)
        add(runs, "identity", seed, loss_val=value + 0.05)
    paired = compute_contrast(read_study("s", runs.folder), Contrast(metric="loss_val", kind="difference", **ARMS), {})
    assert len(set(paired.advantage)) == 1
    assert paired.advantage[0] == pytest.approx(0.05)


def test_a_bound_leaves_open_whether_a_value_is_the_claimed_one(runs):
    for depth, value in ((4, 1e-3), (8, 1e-6), (16, 1e-13)):
        summary = {"update_ratio_first_block": value}
        runs.trial(seed=0, choices={"connection": "plain"}, factors={"depth": depth}, summary=summary)
    arms = {"factor": "connection", "control": "plain", "treatment": "plain"}
    contrast = Contrast(metric="update_ratio_first_block", kind="rate", over="depth", direction="equal", **arms)
    paired = compute_contrast(read_study("s", runs.folder), contrast, {})
    assert (paired.may_be_smaller, paired.may_be_greater) == (True, True)


def test_slopes_that_are_equal_but_for_rounding_are_equal(runs):
    """0.1 + 0.2 isn't 0.3 in floating point."""
    for seed, (low, high) in enumerate(((0.1 + 0.2, 0.3), (0.5, 0.5), (0.7, 0.7))):
        for depth, value in ((4, low), (8, high)):
            for arm, own in (("plain", value), ("identity", 0.9)):
                summary = {"loss_val": own}
                runs.trial(seed=seed, choices={"connection": arm}, factors={"depth": depth}, summary=summary)
    contrast = Contrast(metric="loss_val", kind="interaction", over="depth", **ARMS)
    assert set(compute_contrast(read_study("s", runs.folder), contrast, {}).advantage) == {0.0}


def test_a_floor_in_the_middle_of_a_slopes_levels_is_no_bound(runs):
    """Its weight in the slope is 0 but for rounding."""
    for depth in (5, 15, 45):
        for arm in ("plain", "identity"):
            value = 1e-13 if (arm, depth) == ("plain", 15) else 1e-3
            summary = {"update_ratio_first_block": value}
            runs.trial(seed=0, choices={"connection": arm}, factors={"depth": depth}, summary=summary)
    contrast = Contrast(metric="update_ratio_first_block", kind="interaction", over="depth", **ARMS)
    paired = compute_contrast(read_study("s", runs.folder), contrast, {})
    assert (paired.may_be_smaller, paired.may_be_greater) == (False, False)


def test_the_exposure_of_a_count_is_a_levels(runs):
    spikes = Metric(label="spikes", direction="lower", kind="count", exposure="kilosteps")
    metrics = {"spikes": asdict(spikes), "kilosteps": asdict(Metric(label="kilosteps", direction=None))}
    for depth in (4, 8):
        for arm in ("plain", "identity"):
            for seed in range(6):
                summary = {"spikes": 2.0 if arm == "plain" else 0.0, "kilosteps": 0.5}
                choices = {"connection": arm}
                runs.trial(seed=seed, choices=choices, factors={"depth": depth}, summary=summary, metrics=metrics)
    contrast = Contrast(metric="spikes", kind="difference", direction="lower", mean_over=("depth",), **ARMS)
    paired = compute_contrast(read_study("s", runs.folder), contrast, {})
    assert paired.events == ((6.0, 3.0, 1.0), (0.0, 3.0, -1.0))
