"""The denoising objective: add noise to an image and compare the network's output with the target."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from skiplab.objectives.conditioning import Conditioning
from skiplab.objectives.loss_weighting import LossWeighting
from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.objectives.objective import Forward, Objective
from skiplab.objectives.prediction import Estimate, Prediction
from skiplab.objectives.training_batch import TrainingBatch

_WEIGHT_TIMES = 65_536  # times over which weights are averaged; a log-normal's tail needs that many


class Noised(NamedTuple):
    """Noisy images with their times and labels, and the targets of the network's output."""

    x_t: Tensor
    time: Tensor
    labels: Tensor
    target: Tensor


@dataclass(frozen=True)
class DenoisingBatch(TrainingBatch):
    """Clean images with the times and the noise at which they are learned.

    input_labels: the labels that the network is conditioned on; None for none.
    """

    time: Float[Tensor, " batch"]
    noise: Float[Tensor, "batch channel *positions"]
    input_labels: Int[Tensor, " batch"] | None


class Denoising(Objective[DenoisingBatch]):
    """Squared error between the network's output and the target, E w(t) |F(x_t, t) - target|^2 / dimensions.

    The weighting is stated for the clean input's error and converted to the output's, see LossWeighting.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, eq. 14, for any prediction, weighting and schedule.
    Differs from the source: time is continuous.

    Shapes: x0 and noise (batch, channel, *positions), time (batch,).

    Args:
        num_classes: number of classes in the data (runtime).
        prediction: defines the target (runtime).
        loss_weighting: the weight of each noise level (runtime).
        noise_schedule: alpha and sigma at a time, and how times are drawn (runtime).
        conditioning: what the network is conditioned on besides the time (runtime).
    """

    axes: ClassVar[Mapping[str, type]] = {
        "prediction": Prediction,
        "loss_weighting": LossWeighting,
        "noise_schedule": NoiseSchedule,
        "conditioning": Conditioning,
    }

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
            self.conditioning.input_labels(labels),
        )

    def alpha_sigma(self, time: Float[Tensor, " batch"], images: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma at each sample's time, in the images' dtype and shaped to broadcast over the images."""
        shape = (-1, *[1] * (images.ndim - 1))
        alpha, sigma = self.noise_schedule.alpha_sigma(time)
        return alpha.to(images.dtype).view(shape), sigma.to(images.dtype).view(shape)

    def weight(self, time: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The weight of the squared error of the network's output at each time."""
        return self.loss_weighting.of_output(self.prediction, *self.noise_schedule.alpha_sigma(time))

    def weights(self) -> tuple[Float[Tensor, " time"], Float[Tensor, " time"]]:
        """The weights of the squared errors of the network's output and of the clean image, over training's times.

        With target = a x0 + b noise, an error of the output is one of x0 times -(alpha b - sigma a) / sigma.
        """
        times = self.noise_schedule.levels(_WEIGHT_TIMES).double()
        alpha, sigma = self.noise_schedule.alpha_sigma(times)
        a, b = self.prediction.coefficients(alpha, sigma)
        of_output = self.weight(times)
        return of_output, of_output * torch.square((alpha * b - sigma * a) / sigma)

    def noised(self, x0: Tensor, noise: Tensor, time: Float[Tensor, " batch"], labels: Int[Tensor, " batch"]) -> Noised:
        alpha, sigma = self.alpha_sigma(time, x0)
        target = self.prediction.target(x0, noise, alpha, sigma)
        return Noised(x_t=alpha * x0 + sigma * noise, time=time, labels=labels, target=target)

    def draw(
        self,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> DenoisingBatch:
        time = self.noise_schedule.draw(len(images), generator)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        input_labels = self.conditioning.training_labels(labels, self.num_classes, generator)
        return DenoisingBatch(images, labels, time, noise, input_labels)

    def loss_of(self, model: Forward, batch: DenoisingBatch) -> Float[Tensor, " batch"]:
        noised = self.noised(batch.images, batch.noise, batch.time, batch.labels)
        output = self.predict(model, noised.x_t, noised.time, batch.input_labels)
        return self.weight(batch.time) * self.errors(output, noised.target)

    def predict(
        self,
        model: Forward,
        x_t: Tensor,
        time: Float[Tensor, " batch"],
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Tensor:
        """The network's output for the scaled noisy input, the time, and the labels if it is conditioned on them."""
        scale = self.prediction.input_scale(*self.alpha_sigma(time, x_t))
        return model(scale * x_t, time.to(x_t.dtype), self.conditioning.input_labels(labels))

    @staticmethod
    def errors(output: Tensor, target: Tensor) -> Float[Tensor, " batch"]:
        """The mean squared error of each sample."""
        return (output - target).square().flatten(1).mean(dim=1)

    def estimate(self, output: Tensor, x_t: Tensor, time: Float[Tensor, " batch"]) -> Estimate:
        """The clean image and the noise that an output implies."""
        return self.prediction.solve(output, x_t, *self.alpha_sigma(time, x_t))
