"""The interface of an augmentation: it changes training batches before the network sees them."""

import torch
from jaxtyping import Float
from torch import Tensor


class Augmentation:
    """Changes a training batch at random. All randomness comes from the generator, which is on the batch's device.

    Validation images and reference images are never augmented.
    """

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse data whose samples, of shape (channel, *positions), this augmentation can't change.

        Raises:
            SkiplabError: names the option and the shape.
        """

    def __call__(
        self, images: Float[Tensor, "batch channel *positions"], generator: torch.Generator
    ) -> Float[Tensor, "batch channel *positions"]:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(images, generator)")
