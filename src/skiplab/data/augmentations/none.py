import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.data.augmentation import Augmentation


class NoAugmentation(Augmentation):
    """The images as they are.

    Source: none.
    Differs from the source: none.
    """

    def __call__(
        self, images: Float[Tensor, "batch channel *positions"], generator: torch.Generator
    ) -> Float[Tensor, "batch channel *positions"]:
        return images
