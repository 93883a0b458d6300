"""The loss of a record's network, by noise level."""

import pytest
import torch
from torch import nn

import skiplab
from skiplab.training.record_loss import record_loss
from tiny_trials import TINY, compose_config, run_composed


def test_of_a_denoiser_it_is_the_loss_in_the_record(tmp_path) -> None:
    record = run_composed(compose_config(*TINY), tmp_path).record
    trial = skiplab.load(record.folder)
    found = record_loss(trial, num_images=16, num_levels=2)(trial.model)
    assert found["all"] == pytest.approx(record.read()["summary"]["loss_val"], rel=1e-12)
    assert list(found) == ["all", "time 0.25", "time 0.75"]
    assert found["all"] == pytest.approx((found["time 0.25"] + found["time 0.75"]) / 2)


def test_of_a_classifier_it_is_the_mean_cross_entropy(tmp_path) -> None:
    overrides = (
        *TINY,
        "objective=cross_entropy",
        "backbone=resnet",
        "depth=3",
        "long_skip=none",
        "evaluator=[classification]",
    )
    trial = skiplab.load(run_composed(compose_config(*overrides), tmp_path).record.folder)
    images, labels = trial.data.val.first(200)
    with torch.no_grad():
        expected = nn.functional.cross_entropy(trial.model(images), labels).item()
    found = record_loss(trial, num_images=200, num_levels=1)(trial.model)
    assert found == {"all": pytest.approx(expected, rel=1e-6)}
