"""The interface of a conditioning: what a denoiser is conditioned on besides the noise level."""

import torch
from jaxtyping import Int
from torch import Tensor


class Conditioning:
    """Turns the labels of a batch into the network's input; the label `num_labels(...)` means 'unknown'."""

    def num_labels(self, num_classes: int) -> int:
        """Number of labels that the network is conditioned on; 0 for none."""
        raise NotImplementedError(f"{type(self).__name__} must define num_labels(num_classes)")

    def input_labels(self, labels: Int[Tensor, " batch"] | None) -> Int[Tensor, " batch"] | None:
        """The labels that the network reads when none is dropped; None if all are unknown."""
        raise NotImplementedError(f"{type(self).__name__} must define input_labels(labels)")

    def training_labels(
        self, labels: Int[Tensor, " batch"], num_classes: int, generator: torch.Generator
    ) -> Int[Tensor, " batch"] | None:
        """The labels that the network reads in a training step."""
        return self.input_labels(labels)
