"""Samplers walk step by step as the schedulers of `diffusers` do, asked of one network at the same noise levels."""

import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from objectives_by_name import denoising, made
from skiplab.objectives.conditionings.none import NoConditioning
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.loss_weightings.uniform import Uniform
from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.objectives.predictions.edm import EDM
from skiplab.samplers.ddim import DDIM
from skiplab.samplers.ddpm import DDPM
from skiplab.samplers.dpm_solver_2m import DPMSolver2M
from skiplab.samplers.euler import Euler
from skiplab.samplers.heun import Heun
from skiplab.samplers.sampler import Sampler

# of the schedulers, where they turn tensors into arrays
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SHAPE = (4, 1, 3, 3)
SECOND_ORDER = partial(DPMSolver2M, lower_order_final=False)
PREDICTIONS = {"epsilon": "epsilon", "x0": "sample", "velocity": "v_prediction"}


@pytest.fixture(scope="module")
def diffusers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        import diffusers
    return diffusers


class Discrete(NoiseSchedule):
    """The noise levels of a scheduler: index i of its training steps is time (i + 1/2) / count."""

    def __init__(self, alphas_cumprod: Tensor, indices: Tensor) -> None:
        super().__init__(time_min=1e-6, time_max=1 - 1e-6)
        self.alphas_cumprod, self.indices = alphas_cumprod.double(), indices

    def alpha_sigma(self, time):
        signal = self.alphas_cumprod[(time * len(self.alphas_cumprod)).long()]
        return signal.sqrt(), (1 - signal).sqrt()

    def path(self, num_steps):
        assert num_steps == len(self.indices)
        return (self.indices.double() + 0.5) / len(self.alphas_cumprod)


class Recorder(nn.Module):
    """A network that is no denoiser of anything, and remembers what it read."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, time: Tensor, labels: None = None) -> Tensor:
        self.seen.append(x)
        return torch.tanh((1 + time.view(-1, 1, 1, 1)) * x) + torch.sin(5 * x) / 10


def walk(sampler: Sampler, objective: Denoising) -> list[Tensor]:
    """What the network reads on a sampler's way, and the sample."""
    network = Recorder()
    sample = sampler.draw(network, objective, SHAPE, None, torch.Generator().manual_seed(0))
    return [*network.seen, sample]


def walk_of(scheduler, start: Tensor, times: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
    """The same for a scheduler, which starts where the sampler did; `times` is what the network is told."""
    network, x = Recorder(), start
    settings = {"generator": generator} if generator else {}
    for index, time in zip(scheduler.timesteps, times, strict=True):
        read = scheduler.scale_model_input(x, index) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(network(read, time.expand(len(x)).float()), index, x, **settings).prev_sample
    return [*network.seen, x]


def assert_walks_agree(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-5) -> None:
    assert len(found) == len(expected)
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert (one - other).abs().max() <= tolerance * max(1.0, other.abs().max().item()), f"step {step}"


def discrete(scheduler, num_steps: int, prediction: str) -> Denoising:
    """An objective at a scheduler's own noise levels."""
    scheduler.set_timesteps(num_steps)
    return Denoising(
        1,
        prediction=made("prediction", prediction),
        loss_weighting=Uniform(),
        noise_schedule=Discrete(scheduler.alphas_cumprod, scheduler.timesteps.unique().flip(0)),
        conditioning=NoConditioning(),
    )


@pytest.fixture(params=PREDICTIONS)
def prediction(request) -> str:
    return request.param


@pytest.mark.parametrize("clip", [None, 0.5])
def test_ddim(diffusers, prediction: str, clip: float | None) -> None:
    scheduler = diffusers.DDIMScheduler(
        prediction_type=PREDICTIONS[prediction], clip_sample=clip is not None, clip_sample_range=clip or 1.0
    )
    objective = discrete(scheduler, 20, prediction)
    found = walk(DDIM(num_steps=20, clip=clip, guidance_scale=1.0), objective)
    network, x = Recorder(), found[0]
    for index, time in zip(scheduler.timesteps, objective.noise_schedule.path(20), strict=True):
        output = network(x, time.expand(len(x)).float())
        x = scheduler.step(output, index, x, use_clipped_model_output=True).prev_sample
    assert_walks_agree(found, [*network.seen, x])


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_ddpm(diffusers, prediction: str, variance: str, clip: float | None) -> None:
    scheduler = diffusers.DDPMScheduler(
        prediction_type=PREDICTIONS[prediction],
        variance_type=variance,
        clip_sample=clip is not None,
        clip_sample_range=clip or 1.0,
    )
    objective = discrete(scheduler, 25, prediction)
    found = walk(DDPM(num_steps=25, clip=clip, guidance_scale=1.0, variance=variance), objective)
    generator = torch.Generator().manual_seed(0)
    torch.randn(SHAPE, generator=generator)  # the start
    expected = walk_of(scheduler, found[0], objective.noise_schedule.path(25), generator)
    assert_walks_agree(found, expected)


@pytest.mark.parametrize("num_steps", [2, 3, 10, 30])
def test_dpm_solver_2m(diffusers, prediction: str, num_steps: int) -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++",
        solver_order=2,
        solver_type="midpoint",
        prediction_type=PREDICTIONS[prediction],
    )
    objective = discrete(scheduler, num_steps, prediction)
    found = walk(SECOND_ORDER(num_steps=num_steps, clip=None, guidance_scale=1.0), objective)
    assert_walks_agree(found, walk_of(scheduler, found[0], objective.noise_schedule.path(num_steps)))


@pytest.mark.parametrize("prediction", ["epsilon", "velocity"])  # the scheduler has none of x0
@pytest.mark.parametrize("num_steps", [5, 20])
def test_heun(diffusers, prediction: str, num_steps: int) -> None:
    """A scheduler of the variance-exploding scale, x / alpha, whose list of times names each but the first twice."""
    scheduler = diffusers.HeunDiscreteScheduler(
        beta_start=1e-4, beta_end=0.02, prediction_type=PREDICTIONS[prediction], timestep_spacing="trailing"
    )
    objective = discrete(scheduler, num_steps, prediction)
    found = walk(Heun(num_steps=num_steps, clip=None, guidance_scale=1.0), objective)
    times = objective.noise_schedule.path(num_steps)
    alpha, _ = objective.noise_schedule.alpha_sigma(times[0])
    times = torch.cat([times[:1], times[1:].repeat_interleave(2)])
    assert_walks_agree(found, walk_of(scheduler, found[0] / alpha, times))


def test_euler_on_the_straight_schedule(diffusers) -> None:
    objective = denoising("flow", noise_schedule="straight")
    times = objective.noise_schedule.path(12)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=times.tolist())
    found = walk(Euler(num_steps=12, clip=None, guidance_scale=1.0), objective)
    assert_walks_agree(found, walk_of(scheduler, found[0], times))


def edm(sampler: Callable[..., Sampler], num_steps: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """A walk at EDM's noise levels with EDM's network: what it read, where it started in EDM's scale, and the times."""
    objective = denoising("edm", noise_schedule="log_normal")
    objective.prediction = EDM(sigma_data=0.5, c_skip="edm")
    found = walk(sampler(num_steps=num_steps, clip=None, guidance_scale=1.0), objective)
    return found, found[0] * (80.0**2 + 0.5**2) ** 0.5, objective.noise_schedule.path(num_steps)


@pytest.mark.parametrize(
    ("sampler", "name", "settings"),
    [
        (DDIM, "EDMEulerScheduler", {}),
        (SECOND_ORDER, "EDMDPMSolverMultistepScheduler", {"solver_order": 2, "solver_type": "midpoint"}),
    ],
)
def test_log_normal_walks_as_edm(diffusers, sampler: Callable[..., Sampler], name: str, settings: dict) -> None:
    scheduler = getattr(diffusers, name)(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5, rho=7.0, **settings)
    scheduler.set_timesteps(18)
    found, start, times = edm(sampler, 18)
    assert_walks_agree(found, walk_of(scheduler, start, times))


def test_heun_on_log_normal_is_edms_algorithm() -> None:
    """Karras et al. 2022, algorithm 1 with sigma(t) = t and s(t) = 1, written out."""
    found, x, times = edm(Heun, 9)
    network = Recorder()
    levels = [(80 ** (1 / 7) + i / 8 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(9)] + [0.0]

    def slope(x: Tensor, index: int) -> Tensor:
        level, spread = levels[index], 0.5
        c_in, c_skip = (level**2 + spread**2) ** -0.5, spread**2 / (level**2 + spread**2)
        c_out = level * spread * c_in
        output = network(c_in * x, times[index].expand(len(x)).float())
        return (x - (c_skip * x + c_out * output)) / level

    for i in range(9):
        step, d = levels[i + 1] - levels[i], slope(x, i)
        ahead = x + step * d
        x = ahead if i == 8 else x + step * (d + slope(ahead, i + 1)) / 2
    assert_walks_agree(found, [*network.seen, x])


def test_a_walk_that_is_one_step_behind_is_told_apart() -> None:
    """The tolerance sees a network that is asked at a time of the next step."""
    objective = denoising("velocity")
    found = walk(DDIM(num_steps=20, clip=None, guidance_scale=1.0), objective)
    late = walk(DDIM(num_steps=19, clip=None, guidance_scale=1.0), objective)
    with pytest.raises(AssertionError, match="step 1"):
        assert_walks_agree(late, found[:20])
