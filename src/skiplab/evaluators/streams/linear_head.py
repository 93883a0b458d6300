"""A linear map from the streams at a position to the patch of an image that it covers, fitted in closed form."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.evaluators.results.missing import UnmeasurableError

_ROWS_PER_INPUT = 2  # fewer, and a head fits its training images whatever they hold


def as_image(target: Float[Tensor, "sample channel *positions"]) -> Float[Tensor, "sample channel height width"]:
    """Points as images of one pixel."""
    return target[:, :, None, None] if target.ndim == 2 else target


def on_one_grid(
    streams: Sequence[Float[Tensor, "sample channel *positions"]],
    target: Float[Tensor, "sample channel_out height width"],
) -> Float[Tensor, "sample channel_in rows columns"]:
    """Streams of images, of tokens (a square of patches behind extra tokens) or of points (one position), side by side.

    They are on the coarsest stream's grid. What a finer stream has within one of its positions becomes channels.

    Raises:
        SkiplabError: if the positions don't form grids of patches of the target and of finer streams.
    """
    grids = [_grid(stream) for stream in streams]
    sides = [tuple(grid.shape[2:]) for grid in grids]
    coarsest = min(sides, key=math.prod)
    if not all(_divides(own, target.shape[2:]) and _divides(coarsest, own) for own in sides):
        found = " and ".join(dict.fromkeys(str(tuple(stream.shape[2:])) for stream in streams))
        raise SkiplabError(
            f"a linear head needs streams whose positions divide the image's {tuple(target.shape[2:])}, and each "
            f"other, into grids of patches, and found {found}; remove iterative_refinement from evaluator=[...], or "
            "use another backbone"
        )
    return torch.cat([_patches(grid, *coarsest).unflatten(2, coarsest) for grid in grids], dim=1)


def deviation(stream: Tensor) -> Tensor:
    """The one standard deviation of all of a stream's numbers; 1 if they are equal."""
    found = stream.std(correction=0)
    return torch.where(found > 0, found, 1.0)


def centered(
    train: Float[Tensor, "sample channel rows columns"], others: Float[Tensor, "other channel rows columns"]
) -> tuple[Float[Tensor, "sample channel rows columns"], Float[Tensor, "other channel rows columns"]]:
    """Both without the mean over training images at each position, in float64."""
    mean = train.mean(dim=0, dtype=torch.float64)
    return train - mean, others - mean


def fit_head(
    inputs: Sequence[Float[Tensor, "sample channel rows columns"]],
    targets: Sequence[Float[Tensor, "sample channel_out height width"]],
    ridge: float,
) -> Float[Tensor, "channel patch"]:
    """Closed-form ridge regression, without a constant, from a position's channels to the pixels that it covers.

    Args:
        inputs: in parts, such as noise levels, of which one at a time is copied.
        targets: of the same parts.
        ridge: weight of the squared norm of the head over the number of positions.

    Raises:
        UnmeasurableError: if there are too few positions for so many channels.
    """
    width, count = inputs[0].shape[1], sum(part[:, 0].numel() for part in inputs)
    if count < _ROWS_PER_INPUT * width:
        raise UnmeasurableError(
            f"a linear head of {width} inputs needs {_ROWS_PER_INPUT * width} positions of training images, and has "
            f"{count}; give evaluator.iterative_refinement a larger num_images or num_levels, or the network fewer "
            "resolutions"
        )
    gram = ridge * torch.eye(width, dtype=inputs[0].dtype, device=inputs[0].device)
    products = 0.0
    for part, target in zip(inputs, targets, strict=True):
        features, pixels = (
            each.transpose(0, 1).flatten(1) for each in (part.flatten(2), _patches(target, *part.shape[2:]))
        )
        gram += features @ features.T / count
        products += features @ pixels.T / count
    return torch.linalg.solve(gram, products)


def read(
    head: Float[Tensor, "channel patch"], inputs: Float[Tensor, "sample channel rows columns"], target: Tensor
) -> Tensor:
    """The head's prediction, in the target's shape."""
    batch, channels, height, width = target.shape
    rows, columns = inputs.shape[2:]
    split = (head.T @ inputs.flatten(2)).view(batch, channels, height // rows, width // columns, rows, columns)
    return split.permute(0, 1, 4, 2, 5, 3).reshape(target.shape)


def _grid(stream: Tensor) -> Tensor:
    """A stream with two axes of positions, unless it has three or more."""
    if stream.ndim == 2:
        return stream[:, :, None, None]
    if stream.ndim == 3:
        count = stream.shape[2]
        side = math.isqrt(count)
        return stream[:, :, count - side**2 :].unflatten(2, (side, side))
    return stream


def _divides(parts: Sequence[int], wholes: Sequence[int]) -> bool:
    return len(parts) == len(wholes) and not any(whole % part for part, whole in zip(parts, wholes, strict=True))


def _patches(images: Tensor, rows: int, columns: int) -> Float[Tensor, "sample pixel position"]:
    """Pixels of the patch that each position covers, of all channels."""
    batch, channels, height, width = images.shape
    split = images.view(batch, channels, rows, height // rows, columns, width // columns)
    return split.permute(0, 1, 3, 5, 2, 4).flatten(4).flatten(1, 3)
