"""The interface of an objective: what a network is trained to do with a batch."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from skiplab.objectives.training_batch import TrainingBatch

# A network, or a function that stands in for one.
Forward = Callable[..., Tensor]
BatchT = TypeVar("BatchT", bound=TrainingBatch)


class Objective(Generic[BatchT]):
    """Defines what a network predicts for a batch, and the loss of its predictions.

    axes: the axes that the objective is made of, each with the base class of its options; their options are passed to
        the constructor by these names.

    Args:
        num_classes: number of classes in the data (runtime).
    """

    axes: ClassVar[Mapping[str, type]] = {}

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    @property
    def num_labels(self) -> int:
        """Number of labels that the network is conditioned on; 0 for none."""
        return 0

    @property
    def num_logits(self) -> int:
        """Number of classes that the network's output distinguishes; 0 if the output has the shape of the input."""
        return 0

    def example(self, shape: tuple[int, ...], device: torch.device | str = "cpu") -> tuple[Any, ...]:
        """Arguments for one forward pass of the network on a batch of one image of this shape."""
        raise NotImplementedError(f"{type(self).__name__} must define example(shape, device)")

    def draw(
        self,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> BatchT:
        """All that `loss_of` needs; all randomness comes from the generator."""
        raise NotImplementedError(f"{type(self).__name__} must define draw(images, labels, generator)")

    def loss_of(self, model: Forward, batch: BatchT) -> Float[Tensor, " batch"]:
        """The loss of each sample, for a whole batch as it was drawn or for some of its rows."""
        raise NotImplementedError(f"{type(self).__name__} must define loss_of(model, batch)")

    def loss(
        self,
        model: Forward,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> Float[Tensor, " batch"]:
        """The loss of each sample; all randomness comes from the generator."""
        return self.loss_of(model, self.draw(images, labels, generator))

    def zero_loss(
        self,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> float:
        """The mean loss of the zero predictor, a network whose output is always zero."""

        def zero(*_: Any) -> Tensor:
            return images.new_zeros(len(images), self.num_logits) if self.num_logits else torch.zeros_like(images)

        return self.loss(zero, images, labels, generator).double().mean().item()
