"""With the exact denoiser of a distribution every sampler draws from that distribution, however it is noised."""

import math

import pytest
import torch
from exact_draws import Mixture, draw, gaussian, make_sampler
from torch import Tensor

from objectives_by_name import denoising
from option_files import options
from skiplab.errors import SkiplabError
from skiplab.objectives.prediction import Estimate
from tiny_trials import compose_config

SAMPLERS = options("sampler")
SCHEDULES = options("noise_schedule")
PREDICTIONS = options("prediction")
# Second-order samplers need fewer steps, those that draw at random more.
NUM_STEPS = {"heun": 80, "dpm_solver_2m": 150, "ddpm": 500}

# Every sampler with every schedule; by default each of both at least once, a sampler with one of its own.
PAIRS = [
    pytest.param(name, schedule, marks=[] if (row - column) % len(SCHEDULES) == 0 else [pytest.mark.slow])
    for row, name in enumerate(SAMPLERS)
    for column, schedule in enumerate(SCHEDULES)
]
MIXTURE = Mixture([[0.8, 0.0], [-0.4, 0.7], [-0.5, -0.6]], weights=[0.5, 0.3, 0.2], spread=0.15)


def frechet(samples: Tensor, mean: Tensor, covariance: Tensor) -> float:
    """|m - mean|^2 + tr(S) + tr(covariance) - 2 tr((S covariance)^(1/2)) of the samples' mean and covariance."""
    found = samples.T.cov()
    roots = torch.linalg.eigvals(found @ covariance).real.clamp(min=0).sqrt()
    distance = (samples.mean(dim=0) - mean).square().sum() + found.trace() + covariance.trace() - 2 * roots.sum()
    return distance.item()


@pytest.mark.parametrize(("name", "schedule"), PAIRS)
def test_a_mixture_keeps_its_moments_weights_and_shapes(name: str, schedule: str) -> None:
    """5,000 samples: the standard error of a weight is 0.007; a component's spread is off by less than 7%."""
    sampler, objective = (
        make_sampler(name, num_steps=NUM_STEPS.get(name, 300)),
        denoising("x0", noise_schedule=schedule),
    )
    samples = draw(sampler, objective, MIXTURE, (5000, 2)).double()
    assert torch.allclose(samples.mean(dim=0), MIXTURE.mean, atol=0.03)
    assert torch.allclose(samples.T.cov(), MIXTURE.covariance, atol=0.02)
    assert frechet(samples, MIXTURE.mean, MIXTURE.covariance) < 0.001
    nearest = MIXTURE.nearest(samples)
    shares = torch.bincount(nearest, minlength=3) / len(samples)
    assert torch.allclose(shares.double(), MIXTURE.weights, atol=0.02)
    shape = MIXTURE.spread**2 * torch.eye(2, dtype=torch.float64)
    for component, mean in enumerate(MIXTURE.means):
        assert frechet(samples[nearest == component], mean, shape) < 0.01 * MIXTURE.spread**2


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_walk_by_estimates_a_fifth_too_small_misses_the_mixture(name: str) -> None:
    """So that the tolerance above means something."""
    sampler, objective = make_sampler(name, num_steps=NUM_STEPS.get(name, 300)), denoising("x0")
    walk = sampler.walk

    def walk_wrongly(x, path, schedule, denoise, generator):
        def shrunk(x: Tensor, time: Tensor) -> Estimate:
            return Estimate(*(0.8 * part for part in denoise(x, time)))

        return walk(x, path, schedule, shrunk, generator)

    sampler.walk = walk_wrongly
    samples = draw(sampler, objective, MIXTURE, (5000, 2)).double()
    assert frechet(samples, MIXTURE.mean, MIXTURE.covariance) > 0.002


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("euler", 1), ("heun", 2), ("dpm_solver_2m", 2)])
def test_converges_to_the_flow_of_a_gaussian_at_its_order(name: str, order: int, schedule: str) -> None:
    """Along the probability flow x_t - alpha mean scales with sqrt(alpha^2 spread^2 + sigma^2)."""
    objective, mean, spread = denoising("velocity", noise_schedule=schedule), 0.3, 0.4
    denoiser, shape = gaussian(mean, spread), (256, 2)
    path = objective.noise_schedule.path(2)
    (first, last), (first_sigma, last_sigma) = objective.noise_schedule.alpha_sigma(path)
    start = torch.hypot(first, first_sigma) * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    stretch = torch.hypot(last * spread, last_sigma) / torch.hypot(first * spread, first_sigma)
    end = last * mean + (start.double() - first * mean) * stretch
    exact = denoiser(end, last, last_sigma, None)

    def error(num_steps: int) -> float:
        return (draw(make_sampler(name, num_steps=num_steps), objective, denoiser, shape) - exact).abs().max().item()

    assert math.log2(error(80) / error(160)) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(("name", "schedule"), PAIRS)
def test_samples_are_the_same_in_every_prediction(name: str, prediction: str, schedule: str) -> None:
    found, expected = (
        draw(make_sampler(name, num_steps=10), denoising(own, noise_schedule=schedule), MIXTURE, (16, 2))
        for own in (prediction, "velocity")
    )
    # the network is told the time in float32, which costs epsilon some digits where there is hardly a signal
    assert torch.allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("clip", [1.0, None])
@pytest.mark.parametrize("num_steps", [1, 2, 5])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_single_image_is_found_in_any_number_of_steps(name, schedule, num_steps, clip) -> None:
    image = torch.linspace(-0.9, 0.9, 16, dtype=torch.float64).view(1, 4, 4)
    sampler, objective = make_sampler(name, num_steps=num_steps, clip=clip), denoising("x0", noise_schedule=schedule)
    found = draw(sampler, objective, gaussian(image, 0.0), (8, 1, 4, 4))
    assert found.dtype == torch.float32
    assert torch.allclose(found, image.float().expand(8, 1, 4, 4), atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_clipping_bounds_the_samples(name: str) -> None:
    far = gaussian(torch.full((2,), 5.0, dtype=torch.float64), 0.0)
    clipped, free = (
        draw(make_sampler(name, num_steps=3, clip=clip), denoising("x0"), far, (4, 2)) for clip in (1.0, None)
    )
    assert clipped.max() == 1.0
    assert free.max().item() == pytest.approx(5.0, rel=1e-4)


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_from_its_generator_alone(name: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    sampler = make_sampler(name, num_steps=4)
    one, again, other = (draw(sampler, denoising(), MIXTURE, (3, 2), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_steps": 0}, "sampler.num_steps=0 is invalid; valid: a whole number from 1"),
        ({"num_steps": -1}, "sampler.num_steps=-1 is invalid; valid: a whole number from 1"),
        ({"clip": 0.0}, "sampler.clip=0.0 is invalid; valid: a number above 0, or null"),
        ({"clip": math.nan}, "sampler.clip=nan is invalid; valid: a number above 0, or null"),
        ({"guidance_scale": -0.5}, "sampler.guidance_scale=-0.5 is invalid; valid: a number from 0"),
        ({"guidance_scale": math.nan}, "sampler.guidance_scale=nan is invalid; valid: a number from 0"),
    ],
)
@pytest.mark.parametrize("name", SAMPLERS)
def test_refuses_values_out_of_range(name: str, settings: dict, named: str) -> None:
    node = compose_config(f"sampler={name}").config.sampler
    defaults = {key: value for key, value in node.items() if key != "_target_"}
    with pytest.raises(SkiplabError, match=named):
        type(make_sampler(name))(**defaults | settings)
