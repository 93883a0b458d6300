import itertools

import torch
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.samplers.sampler import Denoise, Sampler

_VARIANCES = ("fixed_small", "fixed_large")


class DDPM(Sampler):
    """Ancestral sampling: x_s is drawn from a Gaussian with the mean of q(x_s | x_t, x0) and a fixed variance.

        mean = r sigma_s^2 / sigma_t^2 x_t + alpha_s added / sigma_t^2 x0,
        variance = added sigma_s^2 / sigma_t^2, or added

    with r = alpha_t / alpha_s, and added = sigma_t^2 - r^2 sigma_s^2, the variance of q(x_t | x_s).

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, eq. 7 and section 3.2 (both variances); for any alpha and sigma:
        Kingma et al. 2021, Variational Diffusion Models, arXiv:2107.00630, appendix A (from memory).
    Differs from the source: continuous time.

    Args:
        num_steps: network evaluations, from 1.
        clip: bound of |x0|; None for no clipping.
        guidance_scale: 1 for none.
        variance: 'fixed_small', that of q(x_s | x_t, x0), exact for data that are one point; or 'fixed_large', that of
            q(x_t | x_s), exact for data from N(0, I).

    Raises:
        SkiplabError: if an argument is out of range.
    """

    def __init__(self, *, num_steps: int, clip: float | None, guidance_scale: float, variance: str) -> None:
        super().__init__(num_steps=num_steps, clip=clip, guidance_scale=guidance_scale)
        if variance not in _VARIANCES:
            raise SkiplabError(f"sampler.variance={variance} is invalid; valid: {', '.join(_VARIANCES)}")
        self.variance = variance

    def walk(
        self, x: Tensor, path: Tensor, schedule: NoiseSchedule, denoise: Denoise, generator: torch.Generator
    ) -> Tensor:
        for now, later in itertools.pairwise(path):
            alpha, sigma = schedule.alpha_sigma(now)
            alpha_later, sigma_later = schedule.alpha_sigma(later)
            ratio, shrinkage = alpha / alpha_later, (sigma_later / sigma).square()
            added = sigma.square() - (ratio * sigma_later).square()
            mean = ratio * shrinkage * x + alpha_later * added / sigma.square() * denoise(x, now).x0
            variance = added * shrinkage if self.variance == "fixed_small" else added
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, device=x.device)
        return x
