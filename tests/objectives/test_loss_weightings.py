"""A weighting is stated for the clean input's error and means the same for every prediction; uniform doesn't."""

import math

import pytest
import torch

from objectives_by_name import denoising, made
from option_files import options
from skiplab.errors import SkiplabError
from skiplab.objectives.loss_weightings.edm import EDM
from skiplab.objectives.loss_weightings.min_snr import MinSNR

PREDICTIONS = options("prediction")
WEIGHTINGS = [name for name in options("loss_weighting") if name != "uniform"]
SCHEDULES = options("noise_schedule")
TIMES = torch.tensor([0.05, 0.2, 0.4, 0.5, 0.7, 0.95], dtype=torch.float64)


def levels(schedule: str) -> list[tuple[float, float]]:
    """alpha and sigma of TIMES."""
    alpha, sigma = made("noise_schedule", schedule).alpha_sigma(TIMES)
    return list(zip(alpha.tolist(), sigma.tolist(), strict=True))


def of_x0(weighting: str, alpha: float, sigma: float) -> float:
    """What each paper weighs the squared error of the clean input with."""
    snr = (alpha / sigma) ** 2
    level, spread = sigma / alpha, 0.75
    return {
        "snr": snr,
        "snr_plus_one": snr + 1,
        "truncated_snr": max(snr, 1.0),
        "min_snr": min(snr, 5.0),
        "edm": (level**2 + spread**2) / (level * spread) ** 2,
    }[weighting]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_same_mistake_costs_the_same_in_every_prediction(weighting, prediction, schedule) -> None:
    """The weighted error of an output equals the paper's weight times the error of the image that it stands for."""
    objective = denoising(prediction, loss_weighting=weighting, noise_schedule=schedule)
    generator = torch.Generator().manual_seed(0)
    x0, noise, output = torch.randn(3, len(TIMES), 1, 2, 2, generator=generator, dtype=torch.float64)
    noised = objective.noised(x0, noise, TIMES, torch.zeros(len(TIMES), dtype=torch.long))
    found = objective.weight(TIMES) * objective.errors(output, noised.target)
    wrong = objective.estimate(output, noised.x_t, TIMES).x0
    expected = [
        of_x0(weighting, *level) * sum(pixel**2 for pixel in mistake.tolist()) / 4
        for level, mistake in zip(levels(schedule), (wrong - x0).flatten(1), strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-8)


# What the papers say that a weighting comes to in the units of another target, alpha^2 + sigma^2 = 1.
CLOSED_FORMS = {
    ("snr", "epsilon"): lambda snr: 1.0,
    ("snr", "velocity"): lambda snr: snr / (snr + 1),
    ("min_snr", "epsilon"): lambda snr: min(snr, 5.0) / snr,
    ("min_snr", "x0"): lambda snr: min(snr, 5.0),
    ("min_snr", "velocity"): lambda snr: min(snr, 5.0) / (snr + 1),
    ("truncated_snr", "epsilon"): lambda snr: max(1.0, 1 / snr),
    ("truncated_snr", "x0"): lambda snr: max(snr, 1.0),
    ("snr_plus_one", "velocity"): lambda snr: 1.0,
    ("snr_plus_one", "epsilon"): lambda snr: 1 + 1 / snr,
    ("edm", "edm"): lambda snr: 1.0,
    ("edm", "edm_c_skip_0"): lambda snr: snr * 0.75**2 + 1,
}


@pytest.mark.parametrize("schedule", ["cosine", "log_normal"])
@pytest.mark.parametrize(("weighting", "prediction"), CLOSED_FORMS)
def test_comes_to_the_closed_form_in_the_networks_own_units(weighting, prediction, schedule) -> None:
    objective = denoising(prediction, loss_weighting=weighting, noise_schedule=schedule)
    expected = [CLOSED_FORMS[weighting, prediction]((a / s) ** 2) for a, s in levels(schedule)]
    assert objective.weight(TIMES).tolist() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_uniform_leaves_every_networks_own_error_alone(prediction, schedule) -> None:
    objective = denoising(prediction, noise_schedule=schedule)
    images, labels = torch.randn(8, 1, 2, 2, generator=torch.Generator().manual_seed(1)), torch.zeros(8).long()

    def halve(x, time, labels):
        return x / 2

    loss = objective.loss(halve, images, labels, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    time = objective.noise_schedule.draw(8, generator)
    noised = objective.noised(images, torch.randn(images.shape, generator=generator), time, labels)
    own = objective.predict(halve, noised.x_t, time)
    assert torch.equal(loss, (own - noised.target).square().flatten(1).mean(dim=1))


def test_min_snr_is_bounded_by_gamma() -> None:
    alpha = torch.tensor([0.999, 0.9, 0.1], dtype=torch.float64)
    sigma = torch.sqrt(1 - alpha**2)
    assert MinSNR(gamma=2.0).of_x0(alpha, sigma).tolist() == pytest.approx([2.0, 2.0, 0.01 / 0.99])


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
@pytest.mark.parametrize(("weighting", "name"), [(MinSNR, "gamma"), (EDM, "sigma_data")])
def test_values_that_are_not_positive_are_refused(weighting, name: str, value: float) -> None:
    with pytest.raises(SkiplabError, match=f"loss_weighting.{name}={value} is invalid; valid: a number above 0"):
        weighting(**{name: value})
