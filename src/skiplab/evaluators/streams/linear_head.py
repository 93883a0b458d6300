"""A linear map from the streams at a position to the patch of an image that it covers, fitted in closed form."""

import functools
import itertools
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


def on_grid(stream: Float[Tensor, "sample channel *positions"], grid: Grid) -> Float[Tensor, "input sample position"]:
    """A copy of a stream, or images, in float64: what it holds within a position of the grid becomes inputs."""
    patches = _patches(_as_grid(stream).transpose(0, 1), *grid)
    return patches.to(torch.float64, copy=True, memory_format=torch.contiguous_format)


@dataclass(frozen=True)
class LinearHead:
    """y = n + the sum over streams of W (x - m), at each position of each level.

    m and n are the means of x and y over training images.

    weights: W, transposed, by stream.
    means: m, by level and stream.
    output_means: n, by level.
    """

    weights: Sequence[Float[Tensor, "input output"]]
    means: Sequence[Sequence[Float[Tensor, "input 1 position"]]]
    output_means: Sequence[Float[Tensor, "output 1 position"]]


Place = Sequence[Sequence[Float[Tensor, "sample channel *positions"]]]  # its streams, by level


def fit_heads(
    places: Sequence[Place], outputs: Sequence[Float[Tensor, "output sample position"]], grid: Grid, ridge: float
) -> list[LinearHead]:
    """For each place, closed-form ridge regression from a position's inputs to its outputs, all levels together.

    Each stream is divided by the one standard deviation of all numbers that are read of it; a constant one is not.
    A stream that successive places hold is read once; no more is copied than two places hold at one level.

    Args:
        places: each with streams at all levels.
        outputs: of the same levels.
        grid: rows and columns of positions.
        ridge: weight of the squared norm of the head, for streams so divided, over the number of positions.

    Raises:
        UnmeasurableError: if there are too few positions for so many inputs.
    """
    fits = [_Fit([_as_grid(stream)[0].numel() // math.prod(grid) for stream in place[0]], outputs) for place in places]
    for level, output in enumerate(outputs):
        read = _Level(output, grid, _most_kept(places))
        for place, fit in zip(places, fits, strict=True):
            fit.add(read, place[level])
    return [fit.head(ridge) for fit in fits]


def squared_errors(
    heads: Sequence[LinearHead],
    places: Sequence[Place],
    outputs: Sequence[Float[Tensor, "output sample position"]],
    grid: Grid,
) -> Float[Tensor, " place"]:
    """The sum of each head's squared errors over images, positions and levels."""
    totals, most = outputs[0].new_zeros(len(heads)), _most_kept(places)
    for level, output in enumerate(outputs):

        @functools.lru_cache(most)  # a tensor's hash is its identity
        def inputs(stream: Tensor, mean: Tensor) -> Tensor:
            return on_grid(stream, grid).sub_(mean).flatten(1)

        for index, (head, place) in enumerate(zip(heads, places, strict=True)):
            missed = (output - head.output_means[level]).flatten(1)
            for stream, mean, weights in zip(place[level], head.means[level], head.weights, strict=True):
                missed.addmm_(weights.T, inputs(stream, mean), alpha=-1)
            totals[index] += missed.square().sum()
    return totals


def _most_kept(places: Sequence[Place]) -> int:
    """As many streams as one place holds and the next may add, so that those that stay are kept."""
    return 1 + max(len(place[0]) for place in places)


class _Level:
    """The outputs of a level and what is read of its streams, less the means over images.

    What one place holds and the next holds, too, is computed once.

    Args:
        output: the outputs.
        grid: rows and columns of positions.
        most: how many streams are kept as inputs.
    """

    def __init__(self, output: Float[Tensor, "output sample position"], grid: Grid, most: int) -> None:
        self.output_mean = output.mean(dim=1, keepdim=True)
        output = (output - self.output_mean).flatten(1)

        @functools.lru_cache(most)  # a tensor's hash is its identity
        def inputs(stream: Tensor) -> tuple[Tensor, Tensor]:
            read = on_grid(stream, grid)
            mean = read.mean(dim=1, keepdim=True)
            return read.sub_(mean).flatten(1), mean

        self.mean = functools.cache(lambda stream: inputs(stream)[1])
        self.with_output = functools.cache(lambda stream: inputs(stream)[0] @ output.T)
        self.with_stream = functools.cache(lambda stream, other: inputs(stream)[0] @ inputs(other)[0].T)


class _Fit:
    """The sums of a regression over levels.

    Args:
        widths: inputs of each stream.
        outputs: of all levels.
    """

    def __init__(self, widths: Sequence[int], outputs: Sequence[Float[Tensor, "output sample position"]]) -> None:
        self.widths, self.count = widths, sum(output[0].numel() for output in outputs)
        width = sum(widths)
        if self.count < _ROWS_PER_INPUT * width:
            raise UnmeasurableError(
                f"a linear head of {width} inputs needs {_ROWS_PER_INPUT * width} positions of training images, and "
                f"has {self.count}; give evaluator.iterative_refinement a larger num_images or num_levels, or the "
                "network fewer resolutions"
            )
        self.upper_gram = outputs[0].new_zeros(width, width)  # what lies below the diagonal isn't used
        self.products = outputs[0].new_zeros(width, len(outputs[0]))
        self.means: list[list[Tensor]] = []
        self.output_means: list[Tensor] = []

    def add(self, level: _Level, streams: Sequence[Tensor]) -> None:
        self.means.append([level.mean(stream) for stream in streams])
        self.output_means.append(level.output_mean)
        for rows, stream in zip(self.products.split(self.widths), streams, strict=True):
            rows += level.with_output(stream)
        blocks = [rows.split(self.widths, dim=1) for rows in self.upper_gram.split(self.widths)]
        for i, j in itertools.combinations_with_replacement(range(len(streams)), 2):
            blocks[i][j].add_(level.with_stream(streams[i], streams[j]))

    def head(self, ridge: float) -> LinearHead:
        gram, scales = self.upper_gram.triu() + self.upper_gram.triu(1).T, self._deviations()
        penalty = ridge * torch.eye(len(scales), dtype=scales.dtype, device=scales.device)
        of_scaled = torch.linalg.solve(
            gram / torch.outer(scales, scales) / self.count + penalty, self.products / scales[:, None] / self.count
        )
        return LinearHead((of_scaled / scales[:, None]).split(self.widths), self.means, self.output_means)

    def _deviations(self) -> Float[Tensor, " input"]:
        """For each input, the standard deviation of its whole stream: what lies within its means, and what between."""
        within = [squares.mean() / self.count for squares in self.upper_gram.diagonal().split(self.widths)]
        between = [torch.cat(means, dim=2).var(correction=0) for means in zip(*self.means, strict=True)]
        found = (torch.stack(within) + torch.stack(between)).sqrt()
        found = torch.where(found > 0, found, 1.0)
        return found.repeat_interleave(torch.tensor(self.widths, device=found.device))


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
