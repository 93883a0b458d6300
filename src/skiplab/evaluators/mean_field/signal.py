"""What mean field theory knows of a tensor in a network with random weights."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Part:
    """Channels that are alike: of each, the numbers at all inputs and positions have these moments.

    width: number of channels.
    cov: covariances over the draw of the weights; a row is an input and a position.
    mean: means; zero after a convolution or a linear map.
    odd: if channels come in pairs that looks-linear weights read by their difference, covariances of half of it.
    """

    width: int
    cov: Float[Tensor, "row row"]
    mean: Float[Tensor, " row"]
    odd: Float[Tensor, "row row"] | None = None

    @property
    def moment(self) -> Float[Tensor, "row row"]:
        """E[x x'] of two rows of a channel."""
        return self.cov + self.mean[:, None] * self.mean[None, :]


@dataclass(frozen=True, eq=False)
class Signal:
    """A tensor (input, channel, *sides) as the moments of its channels.

    num_inputs: inputs.
    sides: of the position axes, such as (8, 8); none for points.
    parts: its channels, in order.
    """

    num_inputs: int
    sides: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def width(self) -> int:
        """Channels."""
        return sum(part.width for part in self.parts)

    def moment(self) -> Float[Tensor, "row row"]:
        """E[x x'] of two rows, mean over channels."""
        return self.weighted(lambda part: part.moment)

    def weighted(self, value: Callable[[Part], Tensor]) -> Tensor:
        """Mean over channels of a value of each part."""
        first, *others = (value(part) * (part.width / self.width) for part in self.parts)
        return sum(others, first)

    def products(self) -> Float[Tensor, "input input"]:
        """E<x_i, x_j> of two inputs, per channel and position."""
        grid = self.moment().reshape(self.num_inputs, -1, self.num_inputs, self.moment().shape[0] // self.num_inputs)
        return grid.diagonal(dim1=1, dim2=3).mean(dim=-1)


def of_tensor(x: Float[Tensor, "input channel *sides"]) -> Signal:
    """A known tensor as a signal: its moments are means over its channels."""
    rows = x.detach().double().movedim(1, -1).flatten(0, -2)
    cov = rows @ rows.T / rows.shape[1]
    return Signal(len(x), tuple(x.shape[2:]), (Part(rows.shape[1], cov, torch.zeros_like(cov[0])),))
