"""The interface of a branch: what a block computes from the stream."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError

_KINDS = {0: "points", 1: "tokens", 2: "images"}


class Branch(nn.Module):
    """Computes an update from the stream; never adds it.

    Shapes: forward(x, cond): x (batch, width_in, *positions), cond (batch, cond_width) or None, to an update
    (batch, width_out, *positions / stride).

    `activation_after_join` is applied by the connection to the joined stream, in every arm alike.

    position_dims: numbers of position axes that it works on: 0 points, 1 tokens, 2 images.

    Raises:
        SkiplabError: where the stream has another number of position axes.
    """

    position_dims: ClassVar[tuple[int, ...]] = (2,)

    def __init__(self, spec: BranchSpec) -> None:
        super().__init__()
        if spec.position_dims not in self.position_dims:
            works_on = " or ".join(_KINDS[dims] for dims in self.position_dims)
            others = {0: "mlp", 1: "transformer or mlp", 2: "preact"}[spec.position_dims]
            raise SkiplabError(
                f"branch={self.option} works on {works_on}, and here the stream is made of "
                f"{_KINDS[spec.position_dims]}; take branch={others}, or another backbone"
            )
        self.spec = spec
        self.activation_after_join: nn.Module = nn.Identity()

    @property
    def option(self) -> str:
        """Its name as an option: its file's."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def last(self) -> nn.Module:
        """The last module with parameters: with these at zero, the update is zero."""
        raise NotImplementedError(f"{type(self).__name__} must define the property last")

    def parts(self) -> "list[Branch]":
        """The branches of one block, one per join; a block with two joins (attention, MLP) returns two."""
        return [self]

    def require_constant_width(self) -> int:
        """The width, for a branch that keeps width and resolution.

        Raises:
            SkiplabError: where the block stands at a change of either.
        """
        spec = self.spec
        if spec.width_in != spec.width_out or spec.stride != 1:
            raise SkiplabError(
                f"branch={self.option} keeps width and resolution, and this backbone changes them within a block "
                f"({spec.width_in} to {spec.width_out} channels, stride {spec.stride}); take a backbone of one "
                "width, such as backbone=isotropic, or branch=preact"
            )
        return spec.width_in

    def forward(
        self, x: Float[Tensor, "batch width_in *positions"], cond: Float[Tensor, "batch cond"] | None
    ) -> Float[Tensor, "batch width_out *outputs"]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, cond)")
