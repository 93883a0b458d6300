import itertools

import torch
from torch import Tensor

from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.samplers.sampler import Denoise, Sampler


class DDIM(Sampler):
    """Deterministic steps from noise to image, x_s = alpha_s x0(x_t) + sigma_s noise(x_t).

    With y = x / alpha and s = sigma / alpha it is Euler's method for dy / ds = noise, EDM's without the second order.

    Source: Song et al. 2021, DDIM, arXiv:2010.02502, eq. 12 with sigma = 0.
    Differs from the source: continuous time.

    Args:
        num_steps: network evaluations, from 1.
        clip: bound of |x0|; None for no clipping.
        guidance_scale: 1 for none.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    def walk(
        self, x: Tensor, path: Tensor, schedule: NoiseSchedule, denoise: Denoise, generator: torch.Generator
    ) -> Tensor:
        for now, later in itertools.pairwise(path):
            x0, noise = denoise(x, now)
            alpha, sigma = schedule.alpha_sigma(later)
            x = alpha * x0 + sigma * noise
        return x
