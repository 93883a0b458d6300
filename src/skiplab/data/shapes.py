import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError

_SHAPES = ("disc", "square", "triangle", "cross", "ring")
_RADIUS = (0.2, 0.4)  # in sides of the image
_BRIGHTEST_BACKGROUND = 0.5  # a shape's hue has a channel of 1 and one of 0, so it stands out from any such gray


class Factors(NamedTuple):
    """What an image was drawn from.

    shape: index into disc, square, triangle, cross, ring.
    hue: of the shape's color, at full saturation and value, 0 to 1 around the circle from red.
    x, y: center, from the upper left corner, in sides of the image.
    radius: of the circle around the shape, in sides of the image.
    background: gray level, 0 black to 1 white.
    """

    shape: Int[Tensor, " sample"]
    hue: Float[Tensor, " sample"]
    x: Float[Tensor, " sample"]
    y: Float[Tensor, " sample"]
    radius: Float[Tensor, " sample"]
    background: Float[Tensor, " sample"]


class Shapes(Dataset):
    """Images of one shape each, drawn from known factors, x = 2 (c color + (1 - c) background) - 1 with coverage c.

    All factors are independent and uniform: five shapes; hue on the circle; radius 0.2 to 0.4 sides of the image;
    center wherever the shape lies wholly inside; background 0 to 0.5. A pixel's coverage is 1/2 - d, cut to [0, 1],
    where d is the signed distance from its center to the shape's edge in pixels. Stored as bytes.

    Source: none; in the spirit of Matthey et al. 2017, dSprites.
    Differs from the source: none.

    Shapes: images (sample, 3, size, size), labels (sample,): the shape.

    Args:
        size: side of an image in pixels, from 8.
        num_train: training images, from 1.
        num_val: validation images, from 1.
        seed: of the factors; the same for every trial of a study.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    num_classes = len(_SHAPES)

    def __init__(self, *, size: int, num_train: int, num_val: int, seed: int) -> None:
        for name, value, least in (("size", size, 8), ("num_train", num_train, 1), ("num_val", num_val, 1)):
            if value < least:
                raise SkiplabError(f"data.{name}={value} is invalid; valid: from {least}")
        generator = torch.Generator().manual_seed(seed)
        self.train_factors = draw_factors(num_train, generator)
        self.val_factors = draw_factors(num_val, generator)
        self.train = Split(render(self.train_factors, size), self.train_factors.shape)
        self.val = Split(render(self.val_factors, size), self.val_factors.shape)


def draw_factors(count: int, generator: torch.Generator) -> Factors:
    """Independent factors of `count` images."""
    shape = torch.randint(len(_SHAPES), (count,), generator=generator)
    hue, x, y, radius, background = torch.rand(5, count, generator=generator)
    radius = _RADIUS[0] + (_RADIUS[1] - _RADIUS[0]) * radius
    return Factors(
        shape=shape,
        hue=hue,
        x=radius + (1 - 2 * radius) * x,
        y=radius + (1 - 2 * radius) * y,
        radius=radius,
        background=_BRIGHTEST_BACKGROUND * background,
    )


def render(factors: Factors, size: int) -> Int[Tensor, "sample 3 size size"]:
    """The images of some factors, as bytes; a thousand at a time, so that little is held in floating point."""
    parts = zip(*(factor.split(1000) for factor in factors), strict=True)
    return torch.cat([_render(Factors(*part), size) for part in parts])


def _render(factors: Factors, size: int) -> Int[Tensor, "sample 3 size size"]:
    centers = (torch.arange(size) + 0.5) / size
    x, y, radius = (factor.view(-1, 1, 1) for factor in (factors.x, factors.y, factors.radius))
    distances = torch.stack(_distances((centers - x) / radius, (centers[:, None] - y) / radius))
    own = distances[factors.shape, torch.arange(len(factors.shape))] * radius * size
    coverage = (0.5 - own).clamp(0, 1)[:, None]
    color = _rgb(factors.hue)[:, :, None, None]
    values = coverage * color + (1 - coverage) * factors.background.view(-1, 1, 1, 1)
    return (values * 255).round().to(torch.uint8)


def _distances(x: Tensor, y: Tensor) -> list[Tensor]:
    """Distance to the edge of each shape of radius 1 at the origin, negative inside; y points down."""
    from_center = (x.square() + y.square()).sqrt()

    def polygon(*normals: float) -> Tensor:
        """With edges of these normals' angles; beyond a corner less than the distance, never of the wrong sign."""
        inner = math.cos(math.pi / len(normals))
        return torch.stack([x * math.cos(angle) + y * math.sin(angle) - inner for angle in normals]).amax(dim=0)

    def bar(along: Tensor, across: Tensor) -> Tensor:
        width = 0.35
        return torch.maximum(along.abs() - math.sqrt(1 - width**2), across.abs() - width)

    return [
        from_center - 1,
        polygon(*(math.pi / 2 * side for side in range(4))),
        polygon(*(math.pi / 2 + 2 * math.pi / 3 * side for side in range(3))),  # one corner up
        torch.minimum(bar(x, y), bar(y, x)),
        (from_center - 0.75).abs() - 0.25,
    ]


def _rgb(hue: Float[Tensor, " sample"]) -> Float[Tensor, "sample 3"]:
    """Red, green and blue of a hue at full saturation and value."""
    offsets = torch.tensor([0.0, 2 / 3, 1 / 3])
    return (((hue[:, None] + offsets) % 1 * 6 - 3).abs() - 1).clamp(0, 1)
