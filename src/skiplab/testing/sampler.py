"""The contract of a sampler."""

import json
from collections.abc import Callable

import torch
from torch import Tensor, nn

from skiplab.objectives.conditionings.none import NoConditioning
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.loss_weightings.uniform import Uniform
from skiplab.objectives.noise_schedules.cosine import Cosine
from skiplab.objectives.prediction import Prediction
from skiplab.objectives.predictions.epsilon import Epsilon
from skiplab.objectives.predictions.velocity import Velocity
from skiplab.samplers.sampler import Sampler
from skiplab.testing.rules import global_generator_untouched, named, require, shape_of

_MEAN, _SPREAD = 0.2, 0.3  # nearly all within [-1, 1], so that clipping matters little
_COUNT = 4000
# With a few dozen steps the error is a few percent; a wrong sampler has a larger error.
_MEAN_TOLERANCE, _SPREAD_TOLERANCE = 0.05, 0.15


def check_sampler(make: Callable[[], Sampler]) -> None:
    """Check the contract of a sampler, with the exact denoisers of a point and of a Gaussian as the network.

    It finds the point to 1e-3, and in 4,000 samples the Gaussian's mean to 0.05 and its standard deviation of 0.3 to
    15%. Samples have the requested shape and depend on the generator alone. No global random state is used. Its
    settings can be written to a record.

    Args:
        make: builds the sampler without guidance and with a few dozen steps, such as `lambda: DDIM(num_steps=50,
            clip=1.0, guidance_scale=1.0)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    sampler = make()
    require(isinstance(sampler, Sampler), f"{type(sampler).__name__} is not a subclass of Sampler")
    try:
        json.dumps(vars(sampler))
    except TypeError as error:
        raise AssertionError(f"its settings can't be written to a record: {error}") from error
    for prediction in (Epsilon(), Velocity()):
        with named(f"with prediction={type(prediction).__name__.lower()}"):
            objective = _objective(prediction)
            sampler.check(objective)
            _check_point(sampler, objective)
            _check_gaussian(sampler, objective)


class _Exact(nn.Module):
    """The exact denoiser of data that are N(mean, spread^2) in every coordinate."""

    def __init__(self, objective: Denoising, spread: float) -> None:
        super().__init__()
        self.objective, self.spread = objective, spread

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None) -> Tensor:
        alpha, sigma = self.objective.alpha_sigma(time.double(), x.double())
        x_t = x.double() / self.objective.prediction.input_scale(alpha, sigma)
        gain = alpha * self.spread**2 / (alpha**2 * self.spread**2 + sigma**2)
        x0 = _MEAN + gain * (x_t - alpha * _MEAN)
        return self.objective.prediction.target(x0, (x_t - alpha * x0) / sigma, alpha, sigma).to(x.dtype)


def _objective(prediction: Prediction) -> Denoising:
    return Denoising(
        1,
        prediction=prediction,
        loss_weighting=Uniform(),
        noise_schedule=Cosine(time_min=0.01, time_max=0.99),
        conditioning=NoConditioning(),
    )


def _draw(sampler: Sampler, objective: Denoising, spread: float, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    with global_generator_untouched("draw"):
        samples = sampler.draw(_Exact(objective, spread), objective, shape, None, generator)
    require(shape_of(samples) == str(shape), f"it returns samples of shape {shape_of(samples)}, not {shape}")
    require(bool(samples.isfinite().all()), "it returns samples that aren't finite")
    require(not samples.requires_grad, "it returns samples that require a gradient")
    return samples


def _check_point(sampler: Sampler, objective: Denoising) -> None:
    samples = _draw(sampler, objective, 0.0, (4, 3, 2, 2))
    off = float((samples - _MEAN).abs().max())
    require(off < 1e-3, f"its samples of data that are one point are off by {off:.2g}")


def _check_gaussian(sampler: Sampler, objective: Denoising) -> None:
    one, same, other = (_draw(sampler, objective, _SPREAD, (_COUNT, 2), seed) for seed in (0, 0, 1))
    require(torch.equal(one, same), "it returns different samples for the same generator seed")
    require(not torch.equal(one, other), "it returns the same samples for different generator seeds")
    mean, spread = float(one.mean()), float(one.std())
    require(abs(mean - _MEAN) < _MEAN_TOLERANCE, f"its samples of a Gaussian of mean {_MEAN} have mean {mean:.3g}")
    near = abs(spread / _SPREAD - 1) < _SPREAD_TOLERANCE
    require(near, f"its samples of a Gaussian of standard deviation {_SPREAD} have {spread:.3g}")
