import math

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.objectives.noise_schedule import NoiseSchedule

# Standard deviations from the mean within which a time in float32 still tells noise levels apart.
_REACH = 5.0


class LogNormal(NoiseSchedule):
    """The time is the quantile of a log-normal noise level, ln s = p_mean + p_std Phi^-1(t), s = sigma / alpha.

        alpha = 1 / sqrt(1 + s^2),  sigma = s / sqrt(1 + s^2)

    Samplers use Karras' spacing: s_i^(1/rho) is equally spaced from sigma_max to sigma_min.

    Source: Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364, table 1 and eq. 5 (from memory).
    Differs from the source: variance-preserving scale, x_t / sqrt(1 + s^2); the network reads t, not ln(s) / 4;
        levels outside sigma_min to sigma_max, 16 in a million, aren't drawn.

    Args:
        p_mean: mean of ln s in training.
        p_std: standard deviation of ln s in training, above 0.
        sigma_min: smallest s, above 0 and within 5 p_std of p_mean.
        sigma_max: largest s, above sigma_min and within 5 p_std of p_mean.
        rho: how much smaller a sampler's steps are at low noise, above 0; 1 for equal steps of s.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    def __init__(self, *, p_mean: float, p_std: float, sigma_min: float, sigma_max: float, rho: float) -> None:
        for name, value in (("p_std", p_std), ("rho", rho)):
            if not value > 0:
                raise SkiplabError(f"noise_schedule.{name}={value} is invalid; valid: a number above 0")
        lowest, highest = (math.exp(p_mean + sign * _REACH * p_std) for sign in (-1, 1))
        if not lowest <= sigma_min < sigma_max <= highest:
            raise SkiplabError(
                f"noise_schedule.sigma_min={sigma_min} and sigma_max={sigma_max} are invalid; "
                f"valid: {lowest:.3g} <= sigma_min < sigma_max <= {highest:.3g}, 5 p_std about p_mean"
            )
        self.p_mean, self.p_std = p_mean, p_std
        self.sigma_min, self.sigma_max, self.rho = sigma_min, sigma_max, rho
        ends = torch.tensor([sigma_min, sigma_max], dtype=torch.float64)
        time_min, time_max = self._time(ends).tolist()
        super().__init__(time_min=time_min, time_max=time_max)

    def alpha_sigma(self, time: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        s = torch.exp(self.p_mean + self.p_std * torch.special.ndtri(time))
        alpha = torch.rsqrt(1 + s.square())
        return alpha, s * alpha

    def path(self, num_steps: int) -> Float[Tensor, " steps"]:
        first, last = (sigma ** (1 / self.rho) for sigma in (self.sigma_max, self.sigma_min))
        return self._time(torch.linspace(first, last, num_steps, dtype=torch.float64) ** self.rho)

    def _time(self, s: Tensor) -> Tensor:
        return torch.special.ndtr((s.log() - self.p_mean) / self.p_std)
