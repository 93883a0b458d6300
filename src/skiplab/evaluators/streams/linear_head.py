"""A linear map from the streams at a position to the patch of an image that it covers, fitted in closed form."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.evaluators.results.missing import UnmeasurableError

_ROWS_PER_INPUT = 2  # fewer, and a head fits its training images whatever they hold

Grid = tuple[int, ...]


def as_image(target: Float[Tensor, "sample channel *positions"]) -> Float[Tensor, "sample channel height width"]:
    """Points as images of one pixel."""
    return target[:, :, None, None] if target.ndim == 2 else target


def common_grid(streams: Sequence[Float[Tensor, "sample channel *positions"]], image: Sequence[int]) -> Grid:
    """Rows and columns of the coarsest of streams of images, of tokens (a square of patches behind extra tokens) or of
    points (one position).

    Raises:
        SkiplabError: if the positions don't form grids of patches of the image, given by its sides, and of finer
            streams.
    """
    sides = [tuple(_as_grid(stream).shape[2:]) for stream in streams]
    coarsest = min(sides, key=math.prod)
    if not all(_divides(own, image) and _divides(coarsest, own) for own in sides):
        found = " and ".join(dict.fromkeys(str(tuple(stream.shape[2:])) for stream in streams))
        raise SkiplabError(
            f"a linear head needs streams whose positions divide the image's {tuple(image)}, and each "
            f"other, into grids of patches, and found {found}; remove iterative_refinement from evaluator=[...], or "
            "use another backbone"
        )
    return coarsest


def on_grid(
    streams: Sequence[Float[Tensor, "sample channel *positions"]], grid: Grid
) -> Float[Tensor, "input sample position"]:
    """Streams, or images, side by side in float64: what each holds within a position of the grid becomes inputs."""
    parts = [_patches(_as_grid(stream).transpose(0, 1), *grid) for stream in streams]
    return torch.cat(parts).double()


@dataclass(frozen=True)
class LinearHead:
    """y = W (x - m) + n, with m and n the means of x and y over training images, at each position of each level.

    grid: rows and columns of positions.
    weights: W, transposed.
    means: m and n, by level.
    """

    grid: Grid
    weights: Float[Tensor, "input output"]
    means: Sequence[tuple[Float[Tensor, "input 1 position"], Float[Tensor, "output 1 position"]]]

    def squared_error(
        self,
        states: Sequence[Sequence[Float[Tensor, "sample channel *positions"]]],
        outputs: Sequence[Float[Tensor, "output sample position"]],
    ) -> Float[Tensor, ""]:
        """The sum over images, positions and levels, given the streams and outputs of each level."""
        total = outputs[0].new_zeros(())
        for state, output, (mean, mean_output) in zip(states, outputs, self.means, strict=True):
            inputs = on_grid(state, self.grid).sub_(mean).flatten(1)
            missed = torch.addmm((output - mean_output).flatten(1), self.weights.T, inputs, beta=-1)
            total += missed.square().sum()
        return total


def fit_head(
    states: Sequence[Sequence[Float[Tensor, "sample channel *positions"]]],
    outputs: Sequence[Float[Tensor, "output sample position"]],
    grid: Grid,
    ridge: float,
) -> LinearHead:
    """Closed-form ridge regression from a position's inputs to its outputs, all levels together.

    Each stream is divided by the one standard deviation of all numbers that are read of it; a constant one is not.

    Args:
        states: streams of each level, of which one level at a time is copied.
        outputs: of the same levels.
        grid: rows and columns of positions.
        ridge: weight of the squared norm of the head, for streams so divided, over the number of positions.

    Raises:
        UnmeasurableError: if there are too few positions for so many inputs.
    """
    per_stream = [_as_grid(stream)[0].numel() // math.prod(grid) for stream in states[0]]
    width, count = sum(per_stream), sum(output[0].numel() for output in outputs)
    if count < _ROWS_PER_INPUT * width:
        raise UnmeasurableError(
            f"a linear head of {width} inputs needs {_ROWS_PER_INPUT * width} positions of training images, and has "
            f"{count}; give evaluator.iterative_refinement a larger num_images or num_levels, or the network fewer "
            "resolutions"
        )
    gram, products, means = outputs[0].new_zeros(width, width), outputs[0].new_zeros(width, len(outputs[0])), []
    for state, output in zip(states, outputs, strict=True):
        inputs = on_grid(state, grid)
        mean, mean_output = (part.mean(dim=1, keepdim=True) for part in (inputs, output))
        means.append((mean, mean_output))
        centered = inputs.sub_(mean).flatten(1)
        gram.addmm_(centered, centered.T)
        products.addmm_(centered, (output - mean_output).flatten(1).T)
    scales = _deviations(gram, torch.cat([mean for mean, _ in means], dim=2), count, per_stream)
    penalty = ridge * torch.eye(width, dtype=gram.dtype, device=gram.device)
    of_scaled = torch.linalg.solve(
        gram / torch.outer(scales, scales) / count + penalty, products / scales[:, None] / count
    )
    return LinearHead(grid, of_scaled / scales[:, None], means)


def _deviations(
    gram: Float[Tensor, "input input"], means: Float[Tensor, "input 1 position"], count: int, per_stream: Sequence[int]
) -> Float[Tensor, " input"]:
    """For each input, the standard deviation of its whole stream: what lies within the means, and what between them."""
    within = [squares.mean() / count for squares in gram.diagonal().split(per_stream)]
    between = [part.var(correction=0) for part in means.split(per_stream)]
    found = (torch.stack(within) + torch.stack(between)).sqrt()
    found = torch.where(found > 0, found, 1.0)
    return found.repeat_interleave(torch.tensor(per_stream, device=found.device))


def _as_grid(stream: Tensor) -> Tensor:
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


def _patches(images: Float[Tensor, "channel sample height width"], rows: int, columns: int) -> Tensor:
    """Pixels of the patch that each position covers, of all channels: (pixel, sample, position)."""
    split = images.unflatten(3, (columns, -1)).unflatten(2, (rows, -1))
    return split.permute(0, 3, 5, 1, 2, 4).flatten(4).flatten(0, 2)
