"""The affine baseline is the best affine predictor; zero says zero."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import drawn

from option_files import options
from skiplab.evaluators.baselines import Baselines
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.training.build import build_objective


@pytest.fixture(params=options("prediction"))
def with_prediction(request, trained, compose_tiny):
    config = compose_tiny(f"prediction={request.param}").config
    eval_batch = EvalBatch(num_images=200, num_levels=2)
    return replace(trained, objective=build_objective(config, trained.data), eval_batch=eval_batch)


def levels(trained):
    """x_t, target, alpha, sigma and the target's coefficients at each level, as float64 arrays."""
    objective = trained.objective
    for _, _, noised in trained.eval_batch.noised(objective, trained.data.val, "val"):
        alpha, sigma = objective.noise_schedule.alpha_sigma(noised.time[0].double())
        a, b = objective.prediction.coefficients(alpha, sigma)
        yield (
            noised.x_t.flatten(1).double().numpy(),
            noised.target.flatten(1).double().numpy(),
            *(float(value) for value in (alpha, sigma, a, b)),
        )


def test_equals_the_formula_solved_directly(with_prediction) -> None:
    images = with_prediction.data.train.at(slice(None)).images.flatten(1).double().numpy()
    mean, cov = images.mean(axis=0), np.cov(images, rowvar=False)
    losses, zeros = [], []
    for x_t, target, alpha, sigma, a, b in levels(with_prediction):
        cross = a * alpha * cov + b * sigma * np.eye(64)
        own = alpha**2 * cov + sigma**2 * np.eye(64)
        predicted = a * mean + np.linalg.solve(own, cross.T).T.dot((x_t - alpha * mean).T).T
        losses.append(((predicted - target) ** 2).mean())
        zeros.append((target**2).mean())
    result = Baselines().evaluate(with_prediction)
    summary = result.summary
    assert list(drawn(result, "loss_by_predictor", "affine predictor").values()) == pytest.approx(losses, rel=1e-6)
    assert summary["loss_affine"] == pytest.approx(np.mean(losses), rel=1e-6)
    assert summary["loss_zero"] == pytest.approx(np.mean(zeros), rel=1e-6)
    assert summary["loss_affine"] < summary["loss_zero"]


def test_equals_least_squares_on_very_many_noisy_images(with_prediction) -> None:
    images = with_prediction.data.train.at(slice(None)).images.flatten(1).double().numpy()
    generator = np.random.default_rng(0)
    losses = []
    for x_t, target, alpha, sigma, a, b in levels(with_prediction):
        x0 = np.concatenate([images] * 15)
        noise = generator.standard_normal(x0.shape)
        features = np.column_stack([alpha * x0 + sigma * noise, np.ones(len(x0))])
        coefficients, *_ = np.linalg.lstsq(features, a * x0 + b * noise, rcond=None)
        predicted = np.column_stack([x_t, np.ones(len(x_t))]) @ coefficients
        losses.append(((predicted - target) ** 2).mean())
    assert Baselines().evaluate(with_prediction).summary["loss_affine"] == pytest.approx(np.mean(losses), rel=0.02)


def test_training_a_network_changes_no_baseline(trained) -> None:
    class Nothing(torch.nn.Module):
        def forward(self, x, level, labels):
            raise AssertionError("a baseline asks no network")

    assert Baselines().evaluate(replace(trained, model=Nothing())) == Baselines().evaluate(trained)
