import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.data.augmentation import Augmentation
from skiplab.errors import SkiplabError


class Flip(Augmentation):
    """Each image is mirrored from left to right with a probability of its own, x[..., j] -> x[..., width - 1 - j].

    Source: He et al. 2015, Deep Residual Learning, arXiv:1512.03385, section 4.2.
    Differs from the source: no crop; take flip_crop for both.

    Shapes: images (batch, channel, height, width).

    Args:
        flip_probability: above 0, to 1.

    Raises:
        SkiplabError: if the probability is out of range, or the data aren't images.
    """

    def __init__(self, *, flip_probability: float) -> None:
        if not 0 < flip_probability <= 1:
            raise SkiplabError(
                f"augmentation.flip_probability={flip_probability} is invalid; valid: above 0, to 1; "
                "use augmentation=none to flip nothing"
            )
        self.flip_probability = flip_probability

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3:
            raise SkiplabError(
                f"this augmentation flips images of shape (channel, height, width), but the data's shape is {shape}; "
                "use augmentation=none"
            )

    def __call__(
        self, images: Float[Tensor, "batch channel *positions"], generator: torch.Generator
    ) -> Float[Tensor, "batch channel *positions"]:
        self.check(tuple(images.shape[1:]))
        mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < self.flip_probability
        return torch.where(mirrored, images.flip(-1), images)
