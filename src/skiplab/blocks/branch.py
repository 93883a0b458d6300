"""The interface of a branch: what a block computes from the stream."""

from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError

_KINDS = {0: "points", 1: "tokens", 2: "images"}
_ALTERNATIVES = {0: "mlp", 1: "transformer or mlp", 2: "preact"}


class Branch(nn.Module):
    """Computes an update from the stream. It never adds the stream to it: the connection joins them.

    The connection applies `activation_after_join` to the joined stream, in every arm.

    position_dims: the numbers of position axes that it supports: 0 for points, 1 for tokens, 2 for images.

    Shapes: forward(x, cond): x (batch, width_in, *positions), cond (batch, cond_width) or None, to an update
    (batch, width_out, *positions / stride).

    Raises:
        SkiplabError: if the stream has a number of position axes that it doesn't support.
    """

    position_dims: ClassVar[tuple[int, ...]] = (2,)

    def __init__(self, spec: BranchSpec) -> None:
        super().__init__()
        if spec.position_dims not in self.position_dims:
            supported = " or ".join(_KINDS[dims] for dims in self.position_dims)
            raise SkiplabError(
                f"branch={self.option} supports {supported}, and the stream of this backbone consists of "
                f"{_KINDS[spec.position_dims]}; take branch={_ALTERNATIVES[spec.position_dims]}, or another backbone"
            )
        self.spec = spec
        self.activation_after_join: nn.Module = nn.Identity()

    @property
    def option(self) -> str:
        """Its name as an option, which is the name of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def last(self) -> nn.Module:
        """The last module with parameters: when these are zero, the update is zero."""
        raise NotImplementedError(f"{type(self).__name__} must define the property last")

    def branches(self) -> "Sequence[Branch]":
        """The branches of one block, one for each join. A block of attention and MLP has two joins."""
        return [self]

    def require_constant_width(self) -> int:
        """The width of the stream, for a branch that can't change width or resolution.

        Raises:
            SkiplabError: if the block changes the width or the resolution.
        """
        spec = self.spec
        if spec.width_in != spec.width_out or spec.stride != 1:
            raise SkiplabError(
                f"branch={self.option} can't change width or resolution, and this backbone changes them within a "
                f"block ({spec.width_in} to {spec.width_out} channels, stride {spec.stride}); take a backbone of one "
                "width, such as backbone=isotropic, or branch=preact"
            )
        return spec.width_in

    def forward(
        self, x: Float[Tensor, "batch width_in *positions"], cond: Float[Tensor, "batch cond"] | None
    ) -> Float[Tensor, "batch width_out *outputs"]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, cond)")
