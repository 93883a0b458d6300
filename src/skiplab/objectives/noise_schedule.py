"""The interface of a noise schedule: the amounts of signal and noise in x_t at time t."""

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.errors import SkiplabError


class NoiseSchedule:
    """x_t = alpha(t) x0 + sigma(t) noise, with t uniform in [time_min, time_max] during training.

    Args:
        time_min: smallest time, above 0, where x_t is nearly clean.
        time_max: largest time, below 1, where x_t is nearly noise.

    Raises:
        SkiplabError: unless 0 < time_min < time_max < 1.
    """

    def __init__(self, *, time_min: float, time_max: float) -> None:
        if not 0 < time_min < time_max < 1:
            raise SkiplabError(
                f"noise_schedule.time_min={time_min} and time_max={time_max} are invalid; "
                "valid: 0 < time_min < time_max < 1"
            )
        self.time_min, self.time_max = time_min, time_max

    def alpha_sigma(self, time: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} must define alpha_sigma(time)")

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, " count"]:
        """The times of a training batch."""
        uniform = torch.rand(count, generator=generator, device=generator.device)
        return self.time_min + (self.time_max - self.time_min) * uniform

    def levels(self, count: int) -> Float[Tensor, " count"]:
        """The middles of `count` equal bands of time, at which losses by noise level are measured."""
        middles = (torch.arange(count) + 0.5) / count
        return self.time_min + (self.time_max - self.time_min) * middles

    def time_at(self, fraction: float) -> float:
        """The time at a fraction of the range, from time_min (0) to time_max (1)."""
        return self.time_min + fraction * (self.time_max - self.time_min)

    def path(self, num_steps: int) -> Float[Tensor, " steps"]:
        """num_steps times from time_max down to time_min, at which a sampler calls the network; in float64."""
        return torch.linspace(self.time_max, self.time_min, num_steps, dtype=torch.float64)

    def rates(self, time: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        """d alpha / dt and d sigma / dt."""
        with torch.enable_grad():
            time = time.detach().requires_grad_()
            alpha, sigma = self.alpha_sigma(time)
            (alpha_rate,) = torch.autograd.grad(alpha.sum(), time, retain_graph=True)
            (sigma_rate,) = torch.autograd.grad(sigma.sum(), time)
        return alpha_rate, sigma_rate
