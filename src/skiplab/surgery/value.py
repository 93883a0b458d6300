"""What a tensor held at one point of a forward pass."""

import math
from dataclasses import dataclass, field

import torch
from torch import nn

from skiplab.surgery.regions import Region


@dataclass(eq=False, slots=True)
class Value:
    """What a tensor held at one point of the pass; the tensor itself isn't kept.

    index: its number in the order of computation.
    name: the ATen function that computed it; '' for inputs, parameters and constants.
    parents: the distinct values that it was computed from and that carry an input.
    learned_parents: the distinct values that it was computed from and that depend on parameters alone.
    carries: one bit for each input of the model that a gradient could reach from here. A gradient reaches an integer
        input no further than the parameter that embeds it.
    depends: one bit for each input that it depends on in any way.
    learned: whether it depends on parameters, and carries no input.
    reads_parameter, reads_weight: whether it was computed from something learned; from a weight that combines channels.
    mixes: whether it combines positions without a parameter.
    raises_resolution: whether it has more positions than the image that it was computed from.
    shape, region: its shape, and where it lies in memory.
    device: where it was computed.
    channel: dimension of its channels, as far as functions with parameters tell; None if none tells.
    modules: the modules whose calls were active when it was computed, from the innermost outwards.
    uses: the values that were computed from it.
    """

    index: int
    name: str
    parents: tuple["Value", ...]
    learned_parents: tuple["Value", ...]
    carries: int
    depends: int
    learned: bool
    reads_parameter: bool
    reads_weight: bool
    mixes: bool
    raises_resolution: bool
    shape: tuple[int, ...]
    region: Region
    device: torch.device
    channel: int | None
    modules: tuple[nn.Module, ...]
    uses: list["Value"] = field(default_factory=list)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def sources(self) -> tuple["Value", ...]:
        return (*self.parents, *self.learned_parents)
