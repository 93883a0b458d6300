"""The interface of a sampler: from noise to images through a trained network."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.errors import SkiplabError
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.objectives.prediction import Estimate

# At a noisy input and a time, a scalar, what the network says of the clean input and of the noise.
Denoise = Callable[[Tensor, Tensor], Estimate]


class Sampler:
    """Walks from time_max to time_min along the schedule's path; what the network says of x0 there is the sample.

    All randomness comes from the generator. What the network says at each time is guided, then clipped:

        output = unknown + guidance_scale (known - unknown), of its outputs with the label known and unknown,
        x0 = clip(x0, -clip, clip), and noise = (x_t - alpha x0) / sigma anew where it was clipped.

    Source: guidance: Ho and Salimans 2022, Classifier-Free Diffusion Guidance, arXiv:2207.12598, eq. 6; clipping:
        Ho et al. 2020, DDPM, arXiv:2006.11239 (its code).
    Differs from the source: guidance_scale is 1 + w of the source, so that 1 is no guidance.

    Args:
        num_steps: times at which the network is asked, from 1.
        clip: bound of |x0|; None for no clipping.
        guidance_scale: 1 for none, 0 for samples of no label; all but 1 needs conditioning=label.

    Raises:
        SkiplabError: where num_steps is below 1, clip isn't above 0, or guidance_scale is negative.
    """

    def __init__(self, *, num_steps: int, clip: float | None, guidance_scale: float) -> None:
        if not isinstance(num_steps, int) or num_steps < 1:
            raise SkiplabError(f"sampler.num_steps={num_steps} is invalid; valid: a whole number from 1")
        if clip is not None and not clip > 0:
            raise SkiplabError(f"sampler.clip={clip} is invalid; valid: a number above 0, or null")
        if not guidance_scale >= 0:
            raise SkiplabError(f"sampler.guidance_scale={guidance_scale} is invalid; valid: a number from 0")
        self.num_steps, self.clip, self.guidance_scale = num_steps, clip, guidance_scale

    def check(self, objective: Denoising) -> None:
        """Refuse an objective that this sampler can't draw from.

        Raises:
            SkiplabError: where it is to be guided by labels that the network isn't told.
        """
        if self.guidance_scale != 1 and not objective.num_labels:
            raise SkiplabError(
                f"sampler.guidance_scale={self.guidance_scale} needs a network that is told labels; "
                "add conditioning=label, or take sampler.guidance_scale=1"
            )

    @torch.no_grad()
    def draw(
        self,
        model: nn.Module,
        objective: Denoising,
        shape: tuple[int, ...],
        labels: Int[Tensor, " batch"] | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Samples of a shape, (batch, channel, *positions), of these labels where the network is told any."""
        path = objective.noise_schedule.path(self.num_steps).to(generator.device)
        alpha, sigma = objective.noise_schedule.alpha_sigma(path[0])
        noise = torch.randn(shape, generator=generator, device=generator.device)
        x = (alpha.square() + sigma.square()).sqrt() * noise
        return self.denoise_along(path, x, model, objective, labels, generator)

    @torch.no_grad()
    def denoise_along(
        self,
        path: Float[Tensor, " steps"],
        x: Float[Tensor, "batch channel *positions"],
        model: nn.Module,
        objective: Denoising,
        labels: Int[Tensor, " batch"] | None,
        generator: torch.Generator,
    ) -> Float[Tensor, "batch channel *positions"]:
        """The samples that x at path[0] leads to, along times of one's own, from noisy to clean."""

        def denoise(x: Tensor, time: Tensor) -> Estimate:
            return self._denoise(model, objective, labels, x, time.expand(len(x)))

        return denoise(self.walk(x, path, objective.noise_schedule, denoise, generator), path[-1]).x0

    def walk(
        self, x: Tensor, path: Tensor, schedule: NoiseSchedule, denoise: Denoise, generator: torch.Generator
    ) -> Tensor:
        """From x at path[0] along num_steps times to x at path[-1]."""
        raise NotImplementedError(f"{type(self).__name__} must define walk(x, path, schedule, denoise, generator)")

    def _denoise(
        self, model: nn.Module, objective: Denoising, labels: Tensor | None, x: Tensor, time: Tensor
    ) -> Estimate:
        output = objective.predict(model, x, time, labels)
        if self.guidance_scale != 1:
            unknown = objective.predict(model, x, time, None)
            output = unknown + self.guidance_scale * (output - unknown)
        estimate = objective.estimate(output, x, time)
        if self.clip is None:
            return estimate
        alpha, sigma = objective.alpha_sigma(time, x)
        x0 = estimate.x0.clamp(-self.clip, self.clip)
        return Estimate(x0=x0, noise=(x - alpha * x0) / sigma)
