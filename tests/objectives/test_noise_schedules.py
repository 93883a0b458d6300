"""Noise schedules keep the variance and go from signal to noise."""

import math

import pytest
import torch
from scipy.stats import norm

from objectives_by_name import made
from option_files import options
from skiplab.errors import SkiplabError
from skiplab.objectives.noise_schedules.cosine import Cosine
from skiplab.objectives.noise_schedules.linear_beta import LinearBeta
from skiplab.objectives.noise_schedules.log_normal import LogNormal

LINEAR_BETA = {"time_min": 0.001, "time_max": 0.999, "beta_min": 0.1, "beta_max": 20.0}
LOG_NORMAL = {"p_mean": -1.2, "p_std": 1.2, "sigma_min": 0.002, "sigma_max": 80.0, "rho": 7.0}


@pytest.fixture(params=options("noise_schedule"))
def schedule(request):
    return made("noise_schedule", request.param)


def test_signal_falls_and_noise_rises(schedule) -> None:
    alpha, sigma = schedule.alpha_sigma(torch.linspace(schedule.time_min, schedule.time_max, 200, dtype=torch.float64))
    assert (alpha.diff() <= 0).all()
    assert (sigma.diff() >= 0).all()
    assert sigma[0] / alpha[0] < 0.1
    assert alpha[-1] / sigma[-1] < 0.1


def test_cosine_keeps_the_variance() -> None:
    time = torch.linspace(0, 1, 101, dtype=torch.float64)
    alpha, sigma = Cosine(time_min=0.01, time_max=0.99).alpha_sigma(time)
    assert torch.allclose(alpha**2 + sigma**2, torch.ones_like(time), atol=1e-14)
    assert alpha[50] == pytest.approx(math.sqrt(0.5), abs=1e-14)
    assert sigma[100 // 3].item() == pytest.approx(math.sin(math.pi * 0.33 / 2), abs=1e-12)


def test_training_times_fill_their_range(schedule) -> None:
    times = schedule.draw(10_000, torch.Generator().manual_seed(0))
    width = schedule.time_max - schedule.time_min
    assert schedule.time_min <= times.min() < schedule.time_min + 0.01 * width
    assert schedule.time_max - 0.01 * width < times.max() <= schedule.time_max
    assert torch.equal(times, schedule.draw(10_000, torch.Generator().manual_seed(0)))


def test_a_samplers_path_walks_down_the_whole_range(schedule) -> None:
    path = schedule.path(7)
    assert len(path) == 7
    assert path[0].item() == pytest.approx(schedule.time_max, abs=1e-12)
    assert path[-1].item() == pytest.approx(schedule.time_min, abs=1e-12)
    assert (path.diff() < 0).all()
    assert schedule.path(1).tolist() == pytest.approx([schedule.time_max], abs=1e-12)


def test_rates_are_the_derivatives_in_time(schedule) -> None:
    time, step = torch.tensor([0.02, 0.3, 0.5, 0.97], dtype=torch.float64), 1e-7
    ahead, behind = (schedule.alpha_sigma(time + sign * step) for sign in (1, -1))
    with torch.no_grad():
        rates = schedule.rates(time)
    for rate, later, earlier in zip(rates, ahead, behind, strict=True):
        assert not rate.requires_grad
        assert torch.allclose(rate, (later - earlier) / (2 * step), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("time_min", "time_max"), [(0.0, 0.9), (0.1, 1.0), (0.5, 0.5), (0.9, 0.1)])
def test_refuses_times_outside_the_open_interval(time_min: float, time_max: float) -> None:
    with pytest.raises(SkiplabError, match="0 < time_min < time_max < 1"):
        Cosine(time_min=time_min, time_max=time_max)


@pytest.mark.parametrize("name", ["cosine", "linear_beta", "log_normal"])
def test_keeps_the_variance(name: str) -> None:
    schedule = made("noise_schedule", name)
    alpha, sigma = schedule.alpha_sigma(schedule.path(50))
    assert torch.allclose(alpha**2 + sigma**2, torch.ones_like(alpha), rtol=0, atol=1e-12)


def test_linear_beta_is_ddpms_product_of_betas_but_for_the_limit_of_many_steps() -> None:
    """exp(-beta) for 1 - beta: ln alpha comes out higher by the sum of beta^2 / 4, 0.034 at the end."""
    schedule, product, differences = LinearBeta(**LINEAR_BETA), 1.0, []
    for index in range(1000):
        product *= 1 - (1e-4 + (0.02 - 1e-4) * index / 999)
        alpha, _ = schedule.alpha_sigma(torch.tensor((index + 1) / 1000, dtype=torch.float64))
        differences.append(alpha.log().item() - math.log(product) / 2)
    assert math.sqrt(product) == pytest.approx(0.00635, abs=5e-6)
    assert alpha.item() == pytest.approx(math.exp(-10.05 / 2), rel=1e-9)
    assert max(differences) == differences[-1] == pytest.approx(0.034, abs=0.001)
    # in the middle of the walk a step's own beta stands for the mean of it and the next one
    assert min(differences) > -0.001


def test_log_normal_draws_edms_noise_levels() -> None:
    """ln(sigma / alpha) is normal of mean -1.2 and standard deviation 1.2, by its moments and by its quantiles."""
    schedule = LogNormal(**LOG_NORMAL)
    alpha, sigma = schedule.alpha_sigma(schedule.draw(100_000, torch.Generator().manual_seed(0)))
    logs = (sigma / alpha).log().double()
    assert logs.mean().item() == pytest.approx(-1.2, abs=0.015)
    assert logs.std().item() == pytest.approx(1.2, abs=0.01)
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        assert logs.quantile(share).item() == pytest.approx(norm.ppf(share, -1.2, 1.2), abs=0.03)


def test_log_normal_walks_in_karras_spacing() -> None:
    alpha, sigma = LogNormal(**LOG_NORMAL).alpha_sigma(LogNormal(**LOG_NORMAL).path(18))
    expected = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert (sigma / alpha).tolist() == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"p_std": 0.0}, "noise_schedule.p_std=0.0 is invalid; valid: a number above 0"),
        ({"rho": -1.0}, "noise_schedule.rho=-1.0 is invalid; valid: a number above 0"),
        ({"sigma_min": 0.0}, "sigma_min=0.0 and sigma_max=80.0 are invalid; valid: 0.000747 <= sigma_min"),
        ({"sigma_min": 90.0}, "sigma_min=90.0 and sigma_max=80.0 are invalid"),
        ({"sigma_max": 1e4}, "sigma_max=10000.0 are invalid; valid: .* sigma_max <= 122, 5 p_std about p_mean"),
        ({"p_mean": math.nan}, "sigma_min=0.002 and sigma_max=80.0 are invalid"),
    ],
)
def test_log_normal_refuses_levels_that_times_cannot_tell_apart(given, named: str) -> None:
    with pytest.raises(SkiplabError, match=named):
        LogNormal(**LOG_NORMAL | given)


@pytest.mark.parametrize("given", [{"beta_min": 0.0}, {"beta_min": 30.0}, {"beta_max": -1.0}])
def test_linear_beta_refuses_rates_that_fall_or_vanish(given) -> None:
    with pytest.raises(SkiplabError, match="valid: 0 < beta_min <= beta_max"):
        LinearBeta(**LINEAR_BETA | given)
