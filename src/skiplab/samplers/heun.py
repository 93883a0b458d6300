import itertools

import torch
from torch import Tensor

from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.samplers.sampler import Denoise, Sampler


class Heun(Sampler):
    """Heun's second-order method for dy / ds = noise(y, s), with y = x / alpha and s = sigma / alpha.

        y' = y + (s' - s) noise(y, s),  y = y + (s' - s) (noise(y, s) + noise(y', s')) / 2

    Source: Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364, algorithm 1 with sigma(t) = t (from
        memory).
    Differs from the source: times are the schedule's, which are the source's with `noise_schedule=log_normal`.

    Args:
        num_steps: N, times from 1; the network is evaluated 2 N - 1 times.
        clip: bound of |x0|; None for no clipping.
        guidance_scale: 1 for none.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    def walk(
        self, x: Tensor, path: Tensor, schedule: NoiseSchedule, denoise: Denoise, generator: torch.Generator
    ) -> Tensor:
        for now, later in itertools.pairwise(path):
            alpha, sigma = schedule.alpha_sigma(now)
            alpha_later, sigma_later = schedule.alpha_sigma(later)
            step = sigma_later / alpha_later - sigma / alpha
            noise = denoise(x, now).noise
            noise_ahead = denoise(alpha_later * (x / alpha + step * noise), later).noise
            x = alpha_later * (x / alpha + step * (noise + noise_ahead) / 2)
        return x
