import itertools

import torch
from torch import Tensor

from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.samplers.sampler import Denoise, Sampler


class Euler(Sampler):
    """Euler's method for the probability flow in time, x_s = x_t + (s - t) (alpha'(t) x0 + sigma'(t) noise).

    Where alpha and sigma are straight in t, as with `noise_schedule=straight`, it is the sampler of rectified flows and
    equal to ddim, which is Euler's method in sigma / alpha.

    Source: Liu et al. 2022, Rectified Flow, arXiv:2209.03003, section 2.1 (from memory); the flow of any schedule:
        Lipman et al. 2022, Flow Matching, arXiv:2210.02747, section 4 (from memory).
    Differs from the source: time runs from data to noise, so that sampling goes down.

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
            alpha_rate, sigma_rate = schedule.rates(now)
            x = x + (later - now) * (alpha_rate * x0 + sigma_rate * noise)
        return x
