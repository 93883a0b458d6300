"""Spikes, thresholds and areas of loss curves that are made by hand."""

import math

import pytest

from skiplab.analysis.study.metric_values import metric_values
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.instruments.stability import Stability


def summarize(log, losses, **known) -> dict[str, float]:
    return Stability(window=3, spike_factor=2.0, threshold=0.5).summarize(log((), losses, **known))


def test_a_smooth_curve(log) -> None:
    assert summarize(log, [1.0, 0.9, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]) == {
        "diverged": 0.0,
        "spikes_per_1000_steps": 0.0,
        "thousand_steps": 0.008,
        "steps_to_threshold": 5.0,  # mean of .6 .5 .4
        "threshold_reached": 1.0,
        "loss_area": pytest.approx(0.5),
        "lost_step_fraction": 0.0,
        "loss_start": 1.0,
    }


def test_losses_count_in_units_of_the_zero_predictors(log) -> None:
    losses = [1.0, 0.9, 0.6, 0.5, 0.4]
    assert summarize(log, [7 * loss for loss in losses], zero_loss=7.0) == pytest.approx(summarize(log, losses))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1, 1, 1, 2.1, 1, 1, 1, 2.1, 1, 1], 200),
        ([1, 1, 1, 2.0, 1, 1, 1, 1, 1, 1], 0),  # not above twice the median
        ([1, 1, 1, 9, 9, 1, 1, 1, 1, 1], 100),  # neighbors are one spike
        ([9, 1, 9, 1, 1, 1, 1, 1, 1, 1], 0),  # no median yet
    ],
)
def test_spikes(losses: list[float], expected: float, log) -> None:
    assert summarize(log, losses)["spikes_per_1000_steps"] == pytest.approx(expected)


def test_a_threshold_that_is_never_reached_counts_with_the_last_step(log) -> None:
    found = summarize(log, [1.0] * 7)
    assert (found["steps_to_threshold"], found["threshold_reached"]) == (7.0, 0.0)
    assert Stability.metrics["steps_to_threshold"].reached == "threshold_reached"


def test_a_trial_that_diverged(log) -> None:
    found = summarize(log, [0.5, 0.5, 0.5, 0.5, math.inf], max_steps=10, diverged=True)
    assert found["diverged"] == 1.0
    assert found["spikes_per_1000_steps"] == pytest.approx(200)  # the last loss is the spike that divergence is
    assert found["thousand_steps"] == 0.005
    assert found["loss_area"] == pytest.approx((4 * 0.5 + 6) / 10)
    assert found["lost_step_fraction"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("losses", "spikes"),
    [
        ([1.0, 9.0], 1),  # before there is a median
        ([1, 1, 1, 9, 9, 9, 9, 9], 2),  # a jump, and divergence once the median has caught up
        ([1, 1, 1, 9, 1, 1, 1, 9], 2),  # the last jump is the divergence
        ([1, 1, 1, 1], 1),  # only the last update shows it
    ],
)
def test_divergence_counts_as_a_spike(losses: list[float], spikes: int, log) -> None:
    found = summarize(log, losses, max_steps=100, diverged=True)
    assert found["spikes_per_1000_steps"] * found["thousand_steps"] == pytest.approx(spikes)


def test_a_count_is_its_rate_times_its_exposure(log) -> None:
    found = summarize(log, [1, 1, 1, 2.1, 1, 1, 1, 2.1, 1, 1])
    declared = Stability.metrics["spikes_per_1000_steps"]
    assert declared.exposure is not None
    assert found["spikes_per_1000_steps"] * found[declared.exposure] == pytest.approx(2)


def test_a_far_off_start_is_told_in_units_of_the_zero_predictors_loss(log) -> None:
    assert summarize(log, [5300.0, 1.0], zero_loss=2.0)["loss_start"] == 2650.0


def test_updates_that_mixed_precision_left_out_are_lost_steps(log) -> None:
    assert summarize(log, [0.5] * 10, num_skipped=3)["lost_step_fraction"] == pytest.approx(0.3)


def test_a_loss_above_the_zero_predictors_counts_as_one_in_the_area(log) -> None:
    assert summarize(log, [50.0, 0.0])["loss_area"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("setting", "valid"),
    [
        ({"window": 0}, r"window=0 is invalid.*from 1"),
        ({"spike_factor": 1.0}, r"spike_factor=1\.0 is invalid.*above 1"),
        ({"threshold": 1.0}, r"threshold=1\.0 is invalid.*above 0 and below 1"),
    ],
)
def test_refuses_settings_that_mean_nothing(setting: dict, valid: str) -> None:
    with pytest.raises(SkiplabError, match=valid):
        Stability(**{"window": 3, "spike_factor": 2.0, "threshold": 0.5, **setting})


def test_a_real_trials_losses_are_summarized_diverged_or_not(run, tmp_path) -> None:
    done = run(tmp_path, "instrument=[stability]").record.read()
    assert done["summary"]["threshold_reached"] == done["summary"]["diverged"] == 0.0
    assert done["summary"]["steps_to_threshold"] == 6.0
    diverged = run(tmp_path, "instrument=[stability,update_ratio]", "optimizer.lr=1e30").record
    content = diverged.read()
    assert content["status"] == "diverged"
    assert content["summary"].keys() == Stability.metrics.keys()
    assert content["summary"]["diverged"] == 1.0
    assert content["charts"]["loss_area"]["measured_by"] == "instrument stability"


def test_a_study_knows_which_trials_diverged(run, tmp_path) -> None:
    words = ("instrument=[stability]", "evaluator=[]", "trainer.max_steps=3", "run.study=s")
    for lr in ("1e30", "1e-3", "1e-2"):
        run(tmp_path, *words, f"optimizer.lr={lr}")
    study = read_study("s", tmp_path)
    values = metric_values(study, "optimizer.lr", "diverged").set_index("arm")
    assert values["value"].to_dict() == {"1e+30": 1.0, "0.001": 0.0, "0.01": 0.0}
    assert study.trials.set_index("optimizer.lr")["diverged"].tolist() == values["value"].tolist()
    assert values["state"].to_dict() == {"1e+30": "diverged", "0.001": "measured", "0.01": "measured"}
    assert values["status"].tolist().count("diverged") == 1
    steps = metric_values(study, "optimizer.lr", "thousand_steps").set_index("arm")["value"]
    assert steps.to_dict() == pytest.approx({"1e+30": 0.002, "0.001": 0.003, "0.01": 0.003})
