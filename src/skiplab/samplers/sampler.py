"""The interface of a sampler: from noise to images through a trained network."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.errors import SkiplabError
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.objectives.prediction import Estimate

# From a noisy input and a time (a scalar) to the network's estimate of the clean input and of the noise.
Denoise = Callable[[Tensor, Tensor], Estimate]


class Sampler:
    """Steps from time_max to time_min along the schedule's path; the network's estimate of x0 there is the sample.

    All randomness comes from the generator. The network's output at each time is guided, and its estimate is clipped:

        output = uncond + guidance_scale (cond - uncond), with its outputs given the label and given none,
        x0 = clip(x0, -clip, clip), noise = (x_t - alpha x0) / sigma.

    Source: guidance: Ho and Salimans 2022, Classifier-Free Diffusion Guidance, arXiv:2207.12598, eq. 6 (from memory);
        clipping: Ho et al. 2020, DDPM, arXiv:2006.11239 (its code).
    Differs from the source: guidance_scale is 1 + w of the source, so that 1 is no guidance.

    Args:
        num_steps: times at which the network is evaluated, from 1.
        clip: bound of |x0|; None for no clipping.
        guidance_scale: 1 for no guidance, 0 for unconditional samples; other values than 1 need conditioning=label.

    Raises:
        SkiplabError: if num_steps is below 1, clip isn't above 0, or guidance_scale is negative.
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
            SkiplabError: if guidance needs labels, but the network is not conditioned on them.
        """
        if self.guidance_scale != 1 and not objective.num_labels:
            raise SkiplabError(
                f"sampler.guidance_scale={self.guidance_scale} needs a network that is conditioned on labels; "
                "add conditioning=label, or use sampler.guidance_scale=1"
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
        """Samples of a shape, (batch, channel, *positions), with these labels if the network is conditioned on them."""
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
        """The samples reached from x at path[0] along these times, from noisy to clean."""

        def denoise(x: Tensor, time: Tensor) -> Estimate:
            return self._denoise(model, objective, labels, x, time.expand(len(x)))

        return denoise(self.walk(x, path, objective.noise_schedule, denoise, generator), path[-1]).x0

    def walk(
        self, x: Tensor, path: Tensor, schedule: NoiseSchedule, denoise: Denoise, generator: torch.Generator
    ) -> Tensor:
        """Step from x at path[0] through num_steps times to x at path[-1]."""
        raise NotImplementedError(f"{type(self).__name__} must define walk(x, path, schedule, denoise, generator)")

    def _denoise(
        self, model: nn.Module, objective: Denoising, labels: Tensor | None, x: Tensor, time: Tensor
    ) -> Estimate:
        output = objective.predict(model, x, time, labels)
        if self.guidance_scale != 1:
            unconditional = objective.predict(model, x, time, None)
            output = unconditional + self.guidance_scale * (output - unconditional)
        estimate = objective.estimate(output, x, time)
        if self.clip is None:
            return estimate
        alpha, sigma = objective.alpha_sigma(time, x)
        x0 = estimate.x0.clamp(-self.clip, self.clip)
        return Estimate(x0=x0, noise=(x - alpha * x0) / sigma)
