"""Samples drawn with denoisers in closed form, E[x0 | x_t], asked in any prediction."""

from collections.abc import Callable
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from skiplab.objectives.denoising import Denoising
from skiplab.samplers.sampler import Sampler
from tiny_trials import compose_config

# The clean input that is expected of x_t at alpha and sigma, all in float64; labels or None for unknown.
ExactDenoiser = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


class Exact(nn.Module):
    """What a network would say that knows the distribution."""

    def __init__(self, objective: Denoising, denoiser: ExactDenoiser) -> None:
        super().__init__()
        self.objective, self.denoiser = objective, denoiser

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None) -> Tensor:
        shape = (-1, *[1] * (x.ndim - 1))
        alpha, sigma = (part.view(shape) for part in self.objective.noise_schedule.alpha_sigma(time.double()))
        x_t = x.double() / self.objective.prediction.input_scale(alpha, sigma)
        x0 = self.denoiser(x_t, alpha, sigma, labels)
        a, b = self.objective.prediction.coefficients(alpha, sigma)
        return (a * x0 + b * (x_t - alpha * x0) / sigma).to(x.dtype)


def gaussian(mean: Tensor | float, spread: float) -> ExactDenoiser:
    """Of N(mean, spread^2) in every coordinate."""

    def denoiser(x_t: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        return mean + alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * (x_t - alpha * mean)

    return denoiser


class Mixture:
    """A mixture of Gaussians in the plane, all of one spread; component k is label k."""

    def __init__(self, means: list[list[float]], weights: list[float], spread: float) -> None:
        self.means = torch.tensor(means, dtype=torch.float64)
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.spread = spread

    @property
    def mean(self) -> Tensor:
        return self.weights @ self.means

    @property
    def covariance(self) -> Tensor:
        centered = self.means - self.mean
        return (self.weights[:, None] * centered).T @ centered + self.spread**2 * torch.eye(2, dtype=torch.float64)

    def nearest(self, samples: Tensor) -> Tensor:
        """Which component each sample lies nearest to."""
        return torch.cdist(samples, self.means).argmin(dim=1)

    def __call__(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        """Each component's expectation, weighted by how likely x_t is to come of it."""
        variance = alpha**2 * self.spread**2 + sigma**2
        expected = [gaussian(mean, self.spread)(x_t, alpha, sigma, None) for mean in self.means]
        if labels is not None:
            return torch.stack(expected, dim=1)[torch.arange(len(labels)), labels]
        likelihoods = [-(x_t - alpha * mean).square().sum(dim=1, keepdim=True) / (2 * variance) for mean in self.means]
        shares = torch.softmax(torch.stack(likelihoods) + self.weights.log().view(-1, 1, 1), dim=0)
        return (shares * torch.stack(expected)).sum(dim=0)


def make_sampler(name: str, **settings: Any) -> Sampler:
    """A sampler at its YAML's defaults, but that it doesn't clip."""
    return instantiate(compose_config(f"sampler={name}").config.sampler, **({"clip": None} | settings))


def draw(
    sampler: Sampler,
    objective: Denoising,
    denoiser: ExactDenoiser,
    shape: tuple[int, ...],
    labels: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """What a sampler draws where the network knows the distribution."""
    return sampler.draw(Exact(objective, denoiser), objective, shape, labels, torch.Generator().manual_seed(seed))
