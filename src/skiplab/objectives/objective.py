"""The interface of an objective: what a network is trained to do with a batch."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Objective:
    """Asks a network something about images and measures how well it answers.

    axes: the axes that it is made of, handed to its constructor by their names.

    Args:
        num_classes: labels of the data (runtime).
    """

    axes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    @property
    def num_labels(self) -> int:
        """Labels that the network is told; 0 where it is told none."""
        return 0

    @property
    def num_logits(self) -> int:
        """Classes that the network's output tells apart; 0 where the output has its input's shape."""
        return 0

    def example(self, shape: tuple[int, ...], device: torch.device | str = "cpu") -> tuple[Any, ...]:
        """Arguments of one forward pass of the network for a batch of one image of this shape."""
        raise NotImplementedError(f"{type(self).__name__} must define example(shape, device)")

    def draw(
        self,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> tuple[Tensor | None, ...]:
        """All that `loss_of` needs of a batch, a row a sample; all randomness comes from the generator."""
        return (images, labels)

    def loss_of(self, model: nn.Module, *drawn: Tensor | None) -> Float[Tensor, " batch"]:
        """Loss of each sample, of a whole batch as it was drawn or of some of its rows."""
        raise NotImplementedError(f"{type(self).__name__} must define loss_of(model, *drawn)")

    def loss(
        self,
        model: nn.Module,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> Float[Tensor, " batch"]:
        """Loss of each sample; all randomness comes from the generator."""
        return self.loss_of(model, *self.draw(images, labels, generator))

    def zero_loss(
        self,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> float:
        """Mean loss of the network that answers zero, which has learnt nothing."""

        def zero(*arguments: Any) -> Tensor:
            return images.new_zeros(len(images), self.num_logits) if self.num_logits else torch.zeros_like(images)

        return self.loss(zero, images, labels, generator).double().mean().item()
