"""The denoising objective: noise an input, let the network predict, compare with the target."""

from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.objectives.conditioning import Conditioning
from skiplab.objectives.loss_weighting import LossWeighting
from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.objectives.objective import Objective
from skiplab.objectives.prediction import Estimate, Prediction


class Noised(NamedTuple):
    """A batch at its noise levels, with its labels, and what the network should say of it."""

    x_t: Tensor
    time: Tensor
    labels: Tensor
    target: Tensor


class Denoising(Objective):
    """Squared error between the network's output and the target, E w(t) |F(x_t, t) - target|^2 / dimensions.

    The weighting is stated for the clean input's error and converted to the output's, see LossWeighting.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, eq. 14, for any prediction, weighting and schedule.
    Differs from the source: time is continuous.

    Shapes: x0 and noise (batch, channel, *positions), time (batch,).

    Args:
        num_classes: labels of the data (runtime).
        prediction: what the target is (runtime).
        loss_weighting: how much a noise level counts (runtime).
        noise_schedule: alpha and sigma of a time, and how times are drawn (runtime).
        conditioning: what the network is told besides the time (runtime).
    """

    axes: ClassVar[tuple[str, ...]] = ("prediction", "loss_weighting", "noise_schedule", "conditioning")

    def __init__(
        self,
        num_classes: int,
        prediction: Prediction,
        loss_weighting: LossWeighting,
        noise_schedule: NoiseSchedule,
        conditioning: Conditioning,
    ) -> None:
        super().__init__(num_classes)
        self.prediction = prediction
        self.loss_weighting = loss_weighting
        self.noise_schedule = noise_schedule
        self.conditioning = conditioning

    @property
    def num_labels(self) -> int:
        return self.conditioning.num_labels(self.num_classes)

    def example(self, shape: tuple[int, ...], device: torch.device | str = "cpu") -> tuple[Any, ...]:
        labels = torch.zeros(1, dtype=torch.long, device=device)
        return (
            torch.zeros(1, *shape, device=device),
            torch.full((1,), 0.5, device=device),
            self.conditioning.told(labels),
        )

    def alpha_sigma(self, time: Float[Tensor, " batch"], images: Tensor) -> tuple[Tensor, Tensor]:
        """Signal and noise at each sample's time, of the images' type and to be broadcast over their dimensions."""
        shape = (-1, *[1] * (images.ndim - 1))
        alpha, sigma = self.noise_schedule.alpha_sigma(time)
        return alpha.to(images.dtype).view(shape), sigma.to(images.dtype).view(shape)

    def weight(self, time: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """How much the squared error of the network's output counts at each time."""
        return self.loss_weighting.of_output(self.prediction, *self.noise_schedule.alpha_sigma(time))

    def noised(self, x0: Tensor, noise: Tensor, time: Float[Tensor, " batch"], labels: Int[Tensor, " batch"]) -> Noised:
        alpha, sigma = self.alpha_sigma(time, x0)
        target = self.prediction.target(x0, noise, alpha, sigma)
        return Noised(x_t=alpha * x0 + sigma * noise, time=time, labels=labels, target=target)

    def draw(
        self,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        """The clean images, their labels, times and noise, and the labels that the network is told."""
        time = self.noise_schedule.draw(len(images), generator)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        told = self.conditioning.told_in_training(labels, self.num_classes, generator)
        return images, labels, time, noise, told

    def loss_of(
        self,
        model: nn.Module,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        time: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch channel *positions"],
        told: Int[Tensor, " batch"] | None,
    ) -> Float[Tensor, " batch"]:
        """Weighted loss of each sample at its time and noise."""
        noised = self.noised(images, noise, time, labels)
        return self.weight(time) * self.errors(self.predict(model, noised.x_t, noised.time, told), noised.target)

    def predict(
        self,
        model: nn.Module,
        x_t: Tensor,
        time: Float[Tensor, " batch"],
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Tensor:
        """The network's output: it reads the scaled input, as its noise level the time, and the labels, if told any."""
        scale = self.prediction.input_scale(*self.alpha_sigma(time, x_t))
        return model(scale * x_t, time.to(x_t.dtype), self.conditioning.told(labels))

    @staticmethod
    def errors(output: Tensor, target: Tensor) -> Float[Tensor, " batch"]:
        """Mean squared error of each sample."""
        return (output - target).square().flatten(1).mean(dim=1)

    def estimate(self, output: Tensor, x_t: Tensor, time: Float[Tensor, " batch"]) -> Estimate:
        """The clean input and the noise that an output stands for."""
        return self.prediction.solve(output, x_t, *self.alpha_sigma(time, x_t))
