"""The interface of a conditioning: what a denoiser is told of an image besides its noise level."""

import torch
from jaxtyping import Int
from torch import Tensor


class Conditioning:
    """Turns the labels of a batch into what the network is told; label `num_labels(...)` stands for 'unknown'."""

    def num_labels(self, num_classes: int) -> int:
        """How many labels the network tells apart; 0 where it is told none."""
        raise NotImplementedError(f"{type(self).__name__} must define num_labels(num_classes)")

    def told(self, labels: Int[Tensor, " batch"] | None) -> Int[Tensor, " batch"] | None:
        """What the network is told where nothing is dropped; None for 'unknown'."""
        raise NotImplementedError(f"{type(self).__name__} must define told(labels)")

    def told_in_training(
        self, labels: Int[Tensor, " batch"], num_classes: int, generator: torch.Generator
    ) -> Int[Tensor, " batch"] | None:
        """What the network is told in a training step."""
        return self.told(labels)
