import itertools

import torch
from torch import Tensor

from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.samplers.sampler import Denoise, Sampler


class DPMSolver2M(Sampler):
    """DPM-Solver++(2M), an exponential integrator that is second order by the previous step's estimate of x0.

        x_s = sigma_s / sigma_t x_t + alpha_s (1 - e^-h) (x0 + h / (2 h_before) (x0 - x0_before)),

    with h the step of ln(alpha / sigma).

    Source: Lu et al. 2022, DPM-Solver++, arXiv:2211.01095, algorithm 2 (from memory).
    Differs from the source: times are the schedule's, not equally spaced in ln(alpha / sigma). lower_order_final is of
        the authors' code, github.com/LuChengTHU/dpm-solver.

    Args:
        num_steps: network evaluations, from 1.
        clip: bound of |x0|; None for no clipping.
        guidance_scale: 1 for none.
        lower_order_final: whether the last step, by far the longest in ln(alpha / sigma), is of first order.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    def __init__(self, *, num_steps: int, clip: float | None, guidance_scale: float, lower_order_final: bool) -> None:
        super().__init__(num_steps=num_steps, clip=clip, guidance_scale=guidance_scale)
        self.lower_order_final = lower_order_final

    def walk(
        self, x: Tensor, path: Tensor, schedule: NoiseSchedule, denoise: Denoise, generator: torch.Generator
    ) -> Tensor:
        before: tuple[Tensor, Tensor] | None = None  # x0 and h of the previous step
        for left, (now, later) in zip(range(len(path) - 2, -1, -1), itertools.pairwise(path), strict=True):
            alpha, sigma = schedule.alpha_sigma(now)
            alpha_later, sigma_later = schedule.alpha_sigma(later)
            h = torch.log(alpha_later / sigma_later) - torch.log(alpha / sigma)
            x0 = denoise(x, now).x0
            ahead = x0
            if before is not None and not (self.lower_order_final and left == 0):
                x0_before, h_before = before
                ahead = x0 + h / (2 * h_before) * (x0 - x0_before)
            x = sigma_later / sigma * x - alpha_later * torch.expm1(-h) * ahead
            before = x0, h
        return x
