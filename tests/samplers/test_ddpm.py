"""Each of DDPM's variances is exact for the data that it is meant for, in any number of steps."""

import pytest
import torch
from exact_draws import gaussian
from torch import Tensor

from objectives_by_name import made
from option_files import options
from skiplab.errors import SkiplabError
from skiplab.objectives.prediction import Estimate
from skiplab.samplers.ddpm import DDPM


@pytest.mark.parametrize("schedule", options("noise_schedule"))
@pytest.mark.parametrize("num_steps", [3, 10, 50])
def test_small_is_exact_for_one_point(num_steps: int, schedule: str) -> None:
    assert spread_at_the_end("fixed_small", 0.0, num_steps, schedule) == pytest.approx(1.0, abs=0.015)


@pytest.mark.parametrize("schedule", ["cosine", "linear_beta", "log_normal"])
@pytest.mark.parametrize("num_steps", [3, 10, 50])
def test_large_is_exact_for_data_of_variance_one(num_steps: int, schedule: str) -> None:
    assert spread_at_the_end("fixed_large", 1.0, num_steps, schedule) == pytest.approx(1.0, abs=0.015)


@pytest.mark.parametrize(("variance", "spread"), [("fixed_small", 1.0), ("fixed_large", 0.0)])
def test_neither_is_exact_for_the_others_data_in_few_steps(variance: str, spread: float) -> None:
    assert abs(spread_at_the_end(variance, spread, 10, "cosine") - 1) > 0.1


def spread_at_the_end(variance: str, spread: float, num_steps: int, schedule_name: str) -> float:
    """Standard deviation of x at the end of a walk over that of x_t at time_min, for data from N(0, spread^2)."""
    schedule = made("noise_schedule", schedule_name)
    path = schedule.path(num_steps)

    def denoise(x: Tensor, time: Tensor) -> Estimate:
        alpha, sigma = schedule.alpha_sigma(time)
        x0 = gaussian(0.0, spread)(x, alpha, sigma, None)
        return Estimate(x0=x0, noise=(x - alpha * x0) / sigma)

    generator = torch.Generator().manual_seed(0)
    (first, last), (first_sigma, last_sigma) = schedule.alpha_sigma(path[[0, -1]])
    start = torch.hypot(first * spread, first_sigma) * torch.randn(40_000, 1, generator=generator)
    end = DDPM(num_steps=num_steps, clip=None, guidance_scale=1.0, variance=variance).walk(
        start, path, schedule, denoise, generator
    )
    return (end.std() / torch.hypot(last * spread, last_sigma)).item()


def test_an_unknown_variance_is_refused() -> None:
    with pytest.raises(SkiplabError, match="variance=learned is invalid; valid: fixed_small, fixed_large"):
        DDPM(num_steps=2, clip=None, guidance_scale=1.0, variance="learned")
