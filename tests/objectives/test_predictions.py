"""Every prediction's target solves back to the clean input and the noise, and converts into every other's."""

import pytest
import torch

from objectives_by_name import denoising
from option_files import options

PREDICTIONS = options("prediction")
SCHEDULES = options("noise_schedule")
LABELS = torch.zeros(9, dtype=torch.long)


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(9, 1, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    return x0, noise, torch.linspace(0.01, 0.99, 9, dtype=torch.float64)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_exact_target_solves_back(prediction: str, schedule: str, batch) -> None:
    x0, noise, time = batch
    made = denoising(prediction, noise_schedule=schedule)
    noised = made.noised(x0, noise, time, LABELS)
    estimate = made.estimate(noised.target, noised.x_t, noised.time)
    assert torch.allclose(estimate.x0, x0, atol=1e-6, rtol=0)
    assert torch.allclose(estimate.noise, noise, atol=1e-6, rtol=0)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("into", PREDICTIONS)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_any_output_converts_into_every_other(prediction: str, into: str, schedule: str, batch) -> None:
    """An output that is wrong stands for the same wrong image and noise in any prediction."""
    x0, noise, time = batch
    one, other = (denoising(name, noise_schedule=schedule) for name in (prediction, into))
    x_t = one.noised(x0, noise, time, LABELS).x_t
    output = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    estimate = one.estimate(output, x_t, time)
    converted = other.noised(estimate.x0, estimate.noise, time, LABELS)
    assert torch.allclose(converted.x_t, x_t, atol=1e-6)
    back = other.estimate(converted.target, x_t, time)
    assert torch.allclose(back.x0, estimate.x0, atol=1e-6)
    assert torch.allclose(back.noise, estimate.noise, atol=1e-6)
    assert torch.allclose(one.noised(back.x0, back.noise, time, LABELS).target, output, atol=1e-6)


def test_targets_are_what_their_papers_say(batch) -> None:
    x0, noise, time = batch
    alpha, sigma = (f(torch.pi * time / 2).view(-1, 1, 1, 1) for f in (torch.cos, torch.sin))
    expected = {"epsilon": noise, "x0": x0, "velocity": alpha * noise - sigma * x0, "flow": noise - x0}
    for name, target in expected.items():
        assert torch.allclose(denoising(name).noised(x0, noise, time, LABELS).target, target, atol=1e-12), name


def test_velocity_is_the_derivative_of_the_path_along_its_angle(batch) -> None:
    x0, noise, time = batch
    made = denoising("velocity")
    step = 1e-6
    ahead, behind = (made.noised(x0, noise, time + sign * step, LABELS).x_t for sign in (1, -1))
    derivative = (ahead - behind) / (2 * step * torch.pi / 2)
    assert torch.allclose(made.noised(x0, noise, time, LABELS).target, derivative, atol=1e-8)
