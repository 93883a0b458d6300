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
    features, patches = _positions(stream), _patches(target, *stream.shape[2:])
    gram = features.T @ features / len(features)
    penalty = ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    penalty[-1, -1] = 0  # the constant isn't penalized
    return torch.linalg.solve(gram + penalty, features.T @ patches / len(features))


def read(head: Tensor, stream: Tensor, target: Tensor) -> Tensor:
    """The head's prediction, in the target's shape."""
    batch, channels, height, width = target.shape
    rows, columns = stream.shape[2:]
    patches = (_positions(stream) @ head).view(batch, rows, columns, channels, height // rows, width // columns)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(target.shape)


def _positions(stream: Tensor) -> Tensor:
    flat = stream.permute(0, 2, 3, 1).flatten(0, 2).double()
    return torch.cat([flat, torch.ones_like(flat[:, :1])], dim=1)


def _patches(target: Tensor, rows: int, columns: int) -> Tensor:
    batch, channels, height, width = target.shape
    split = target.view(batch, channels, rows, height // rows, columns, width // columns)
    return split.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).flatten(1).double()
