import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from skiplab.data.augmentations.flip import Flip
from skiplab.errors import SkiplabError


class FlipCrop(Flip):
    """Mirrors at random, then pads by p and crops to the old size, y[i, j] = padded[i + u, j + v], u, v in 0 to 2p.

    Source: He et al. 2015, Deep Residual Learning, arXiv:1512.03385, section 4.2 (p = 4 on 32x32).
    Differs from the source: it pads with 0 after subtracting the mean image, so with the mean; the default here is
        the nearest constant, fill = 0, the gray in the middle of [-1, 1]; black is -1.

    Shapes: images (batch, channel, height, width).

    Args:
        flip_probability: above 0, to 1.
        padding: pixels added on each side, from 1 to one less than the image's shorter side.
        fill: value of the added pixels, from -1 to 1.

    Raises:
        SkiplabError: if an argument is out of range, or the data aren't images.
    """

    def __init__(self, *, flip_probability: float, padding: int, fill: float) -> None:
        super().__init__(flip_probability=flip_probability)
        if padding < 1:
            raise SkiplabError(
                f"augmentation.padding={padding} is invalid; valid: from 1; use augmentation=flip to crop nothing"
            )
        if not -1 <= fill <= 1:
            raise SkiplabError(f"augmentation.fill={fill} is invalid; valid: -1 to 1")
        self.padding, self.fill = padding, fill

    def check(self, shape: tuple[int, ...]) -> None:
        super().check(shape)
        if self.padding >= min(shape[1:]):
            raise SkiplabError(
                f"augmentation.padding={self.padding} is invalid for images of {shape[1]}x{shape[2]} pixels; valid: 1 "
                f"to {min(shape[1:]) - 1}"
            )

    def __call__(
        self, images: Float[Tensor, "batch channel *positions"], generator: torch.Generator
    ) -> Float[Tensor, "batch channel *positions"]:
        flipped = super().__call__(images, generator)
        batch, channels, height, width = flipped.shape
        padded = F.pad(flipped, (self.padding,) * 4, value=self.fill)
        shifts = torch.randint(2 * self.padding + 1, (2, batch, 1), generator=generator, device=images.device)
        rows = shifts[0] + torch.arange(height, device=images.device)
        columns = shifts[1] + torch.arange(width, device=images.device)
        sample = torch.arange(batch, device=images.device).view(-1, 1, 1, 1)
        channel = torch.arange(channels, device=images.device).view(1, -1, 1, 1)
        return padded[sample, channel, rows[:, None, :, None], columns[:, None, None, :]]
