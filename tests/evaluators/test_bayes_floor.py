"""The floor is the exact denoiser's loss for any target, no network is below it, and it is known or refused."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from drawn import drawn

from option_files import options
from skiplab.data.gaussian_mixture import GaussianMixture
from skiplab.data.gaussian_mixture_images import GaussianMixtureImages
from skiplab.errors import SkiplabError
from skiplab.evaluators.baselines import Baselines
from skiplab.evaluators.bayes_floor import BayesFloor, best_output
from skiplab.evaluators.denoising_loss import DenoisingLoss
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Trained
from skiplab.training.build import build, build_objective

RING = {"layout": "ring", "num_modes": 5, "extent": 1.0, "spread": 0.15, "num_train": 2000, "num_val": 2000, "seed": 0}


@pytest.fixture
def on_images(trained, compose_tiny) -> Trained:
    """The finished trial's network, on images of known density."""
    data = GaussianMixtureImages(rank=8, num_train=600, num_val=300, seed=0)
    return replace(trained, data=data, eval_batch=EvalBatch(num_images=200, num_levels=3))


@pytest.fixture(params=options("prediction"))
def on_points(request, trained, compose_tiny) -> Trained:
    """Points of the plane, for each target, and a network that says 0."""

    class Zero(torch.nn.Module):
        def forward(self, x, time, labels):
            return torch.zeros_like(x)

    config = compose_tiny(f"prediction={request.param}", "loss_weighting=uniform").config
    data = GaussianMixture(**RING)
    return replace(
        trained,
        model=Zero(),
        data=data,
        objective=build_objective(config, data),
        eval_batch=EvalBatch(num_images=2000, num_levels=3),
    )


class Exact(torch.nn.Module):
    """The network that no other beats: it undoes the input's scale and says what the exact denoiser implies."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.trained = trained

    def forward(self, x, time, labels):
        objective = self.trained.objective
        alpha, sigma = objective.alpha_sigma(time.double(), x.double())
        x_t = x.double() / objective.prediction.input_scale(alpha, sigma)
        x0 = self.trained.data.exact_denoiser(x_t, alpha, sigma)
        a, b = objective.prediction.coefficients(alpha, sigma)
        return (a * x0 + b * (x_t - alpha * x0) / sigma).float()


@cache
def prior() -> np.ndarray:
    drawn = GaussianMixture(**RING).mixture.draw(400_000, (2,), torch.Generator().manual_seed(9))
    return drawn.stored.double().numpy()


@cache
def weighted_mean(x_t: tuple[float, float], alpha: float, sigma: float) -> np.ndarray:
    """E[x0 | x_t] by weighting draws of the prior; the same for every target."""
    likelihoods = np.exp(-np.square(np.array(x_t) - alpha * prior()).sum(axis=1) / (2 * sigma**2))
    return likelihoods @ prior() / likelihoods.sum()


def test_floor_equals_the_posterior_mean_by_importance_sampling(on_points) -> None:
    """E[target | x_t] by weighting draws of the prior, and its loss, without the closed form."""
    objective = on_points.objective
    eval_batch = EvalBatch(num_images=20, num_levels=3)
    losses = []
    probes = eval_batch.noised(objective, on_points.data.val, "val")
    for weight, (*_, noised) in zip(eval_batch.weights(objective).tolist(), probes, strict=True):
        levels = objective.noise_schedule.alpha_sigma(noised.time[0].double())
        alpha, sigma, a, b = (float(part) for part in (*levels, *objective.prediction.coefficients(*levels)))
        for x_t, target in zip(noised.x_t.double().numpy(), noised.target.double().numpy(), strict=True):
            x0 = weighted_mean(tuple(x_t.tolist()), alpha, sigma)
            losses.append(weight * ((a * x0 + b * (x_t - alpha * x0) / sigma - target) ** 2).mean())
    summary = BayesFloor().evaluate(replace(on_points, eval_batch=eval_batch)).summary
    assert summary["loss_floor"] == pytest.approx(np.mean(losses), rel=0.002)


def test_the_exact_network_has_no_excess_and_no_distance(on_points) -> None:
    summary = BayesFloor().evaluate(replace(on_points, model=Exact(on_points))).summary
    assert summary["excess_loss"] == pytest.approx(0, abs=1e-5 * summary["loss_floor"])
    assert summary["distance_to_exact"] < 1e-8 * summary["loss_floor"]


def test_excess_is_the_distance_but_for_the_noise_of_the_eval_batch(on_points) -> None:
    """Their difference is -2 <F - F*, target - F*>, of which the mean over 12,000 numbers is noise around 0."""
    summary = BayesFloor().evaluate(on_points).summary
    floor, excess, distance = (summary[name] for name in ("loss_floor", "excess_loss", "distance_to_exact"))
    assert distance > 0.1 * floor
    assert abs(excess - distance) < 4 * 2 * (distance * floor / 12_000) ** 0.5


def test_floor_is_below_the_best_affine_predictor(on_points) -> None:
    floor = BayesFloor().evaluate(on_points).summary["loss_floor"]
    assert floor < 0.97 * Baselines().evaluate(on_points).summary["loss_affine"]


def test_one_gaussians_floor_is_the_best_affine_predictors(on_points) -> None:
    data = GaussianMixture(**RING | {"num_modes": 1, "num_train": 50_000})
    alone = replace(on_points, data=data)
    floor = BayesFloor().evaluate(alone).summary["loss_floor"]
    assert floor == pytest.approx(Baselines().evaluate(alone).summary["loss_affine"], rel=1e-3)


def test_one_gaussians_floor_has_a_closed_form(on_points) -> None:
    """E|x0 - E[x0 | x_t]|^2 a dimension is s^2 sigma^2 / (alpha^2 s^2 + sigma^2), times (a - b alpha / sigma)^2."""
    objective = on_points.objective
    data = GaussianMixture(**RING | {"num_modes": 1, "num_val": 20_000})
    many = replace(on_points, data=data, eval_batch=EvalBatch(num_images=20_000, num_levels=3))
    alpha, sigma = objective.noise_schedule.alpha_sigma(objective.noise_schedule.levels(3).double())
    a, b = objective.prediction.coefficients(alpha, sigma)
    error = 0.15**2 * sigma**2 / (alpha**2 * 0.15**2 + sigma**2)
    expected = (many.eval_batch.weights(objective) * (a - b * alpha / sigma) ** 2 * error).mean().item()
    assert BayesFloor().evaluate(many).summary["loss_floor"] == pytest.approx(expected, rel=0.03)


def test_floor_and_excess_add_up_to_the_loss_that_is_reported(on_images) -> None:
    summary = BayesFloor().evaluate(on_images).summary
    loss = DenoisingLoss().evaluate(on_images).summary["loss_val"]
    assert summary["loss_floor"] + summary["excess_loss"] == pytest.approx(loss, rel=1e-6)
    assert summary["excess_loss"] > 0


def test_levels_add_up_to_the_summary(on_images) -> None:
    result = BayesFloor().evaluate(on_images)
    floor, loss = (drawn(result, "loss_and_floor", line) for line in ("exact denoiser", "network"))
    assert len(floor) == 3
    assert np.mean(list(floor.values())) == pytest.approx(result.summary["loss_floor"])
    excess = np.mean([loss[time] - floor[time] for time in floor])
    assert excess == pytest.approx(result.summary["excess_loss"])


def test_a_networks_floor_doesnt_depend_on_the_network(on_images) -> None:
    untrained = replace(on_images, model=on_images.untrained)
    floors = [BayesFloor().evaluate(trained).summary["loss_floor"] for trained in (on_images, untrained)]
    assert floors[0] == floors[1]


def test_best_output_keeps_the_images_shape(on_images) -> None:
    *_, noised = on_images.eval_batch.noised(on_images.objective, on_images.data.val, "val")[0]
    found = best_output(on_images.objective, on_images.data, noised)
    assert (found.shape, found.dtype) == (noised.x_t.shape, torch.float64)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), "needs data whose exact denoiser is known, and Digits has none; use data=gaussian_mixture"),
        (("data=gaussian_mixture_images", "conditioning=label"), "this one is conditioned on 10 labels"),
        (("data=gaussian_mixture_images", "objective=cross_entropy", "backbone=resnet"), "measures Denoising networks"),
    ],
)
def test_refuses_before_training_what_has_no_known_floor(compose_tiny, overrides, message: str) -> None:
    config = compose_tiny("evaluator=[bayes_floor]", *overrides).config
    with pytest.raises(SkiplabError, match=f"evaluator=bayes_floor.*{message}"):
        build(config)


def test_a_trial_on_images_of_known_density_records_its_floor(run, tmp_path) -> None:
    trial = run(tmp_path, "data=gaussian_mixture_images", "evaluator=[bayes_floor,denoising_loss]")
    summary = trial.record.read()["summary"]
    assert summary["loss_floor"] + summary["excess_loss"] == pytest.approx(summary["loss_val"], rel=1e-6)
