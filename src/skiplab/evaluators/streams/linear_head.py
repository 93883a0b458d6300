"""A linear map from the stream at a position to the patch of an image that it covers, fitted in closed form."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.errors import SkiplabError


def as_image(target: Float[Tensor, "sample channel *positions"]) -> Float[Tensor, "sample channel height width"]:
    """Points as images of one pixel."""
    return target[:, :, None, None] if target.ndim == 2 else target


def on_grid(
    stream: Float[Tensor, "sample channel *positions"], target: Float[Tensor, "sample channel_out height width"]
) -> Float[Tensor, "sample channel rows columns"]:
    """A stream of images, of tokens (a square of patches behind extra tokens) or of points (one position).

    Raises:
        SkiplabError: if the positions don't form a grid of patches of the target.
    """
    if stream.ndim == 2:
        return stream[:, :, None, None]
    found = tuple(stream.shape[2:])
    if len(found) == 1:
        side = math.isqrt(found[0])
        stream = stream[:, :, found[0] - side**2 :].unflatten(2, (side, side))
    sides = tuple(target.shape[2:])
    if stream.ndim != 4 or any(whole % part for whole, part in zip(sides, stream.shape[2:], strict=True)):
        raise SkiplabError(
            f"a linear head needs streams whose positions {found} divide the image's {sides} into a grid of patches; "
            "remove iterative_refinement from evaluator=[...], or use another backbone"
        )
    return stream


def fit_head(
    stream: Float[Tensor, "sample channel rows columns"],
    target: Float[Tensor, "sample channel_out height width"],
    ridge: float,
) -> Float[Tensor, "channel_plus_one patch"]:
    """Closed-form ridge regression from a position's channels to the pixels of the patch that it covers."""
    features, patches = _by_position(stream), _patches(target, *stream.shape[2:])
    count = features.shape[0] * features.shape[2]  # of positions
    mean, mean_patch = features.sum((0, 2)) / count, patches.sum((0, 2)) / count
    gram = torch.ones(len(mean) + 1, len(mean) + 1, dtype=mean.dtype, device=mean.device)
    gram[:-1, :-1] = (features @ features.mT).sum(0) / count
    gram[-1, :-1] = gram[:-1, -1] = mean  # the last feature is the constant one
    gram[:-1, :-1].diagonal().add_(ridge)  # the constant isn't penalized
    products = torch.cat([(features @ patches.mT).sum(0) / count, mean_patch[None]])
    return torch.linalg.solve(gram, products)


def read(head: Tensor, stream: Tensor, target: Tensor) -> Tensor:
    """The head's prediction, in the target's shape."""
    batch, channels, height, width = target.shape
    rows, columns = stream.shape[2:]
    patches = head[:-1].T @ _by_position(stream) + head[-1, :, None]
    split = patches.view(batch, channels, height // rows, width // columns, rows, columns)
    return split.permute(0, 1, 4, 2, 5, 3).reshape(target.shape)


def _by_position(stream: Tensor) -> Float[Tensor, "sample channel position"]:
    return stream.flatten(2).double()


def _patches(target: Tensor, rows: int, columns: int) -> Float[Tensor, "sample pixel position"]:
    """Pixels of the patch that each position covers."""
    batch, channels, height, width = target.shape
    split = target.view(batch, channels, rows, height // rows, columns, width // columns)
    return split.permute(0, 1, 3, 5, 2, 4).flatten(4).flatten(1, 3).double()
