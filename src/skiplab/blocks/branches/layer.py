from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.modulation import Modulation
from skiplab.blocks.specification import BranchSpec


class Layer(Branch):
    """One linear map at each position, f(x) = W act(norm(x)); conditioning scales and shifts the norm.

    A plain stack of such blocks is a textbook multi-layer perceptron, with one layer per block.

    Source: the networks of Balduzzi et al. 2017, The Shattered Gradients Problem, arXiv:1702.08591, section 3 (from
        memory); the modulation: Peebles and Xie 2023, DiT, arXiv:2212.09748, section 3.2.
    Differs from the source: norm and activation are separate axes.

    Raises:
        SkiplabError: if the block changes width or resolution.
    """

    position_dims: ClassVar[tuple[int, ...]] = (0, 1, 2)

    def __init__(self, spec: BranchSpec) -> None:
        super().__init__(spec)
        width = self.require_constant_width()
        self.norm = spec.norm(width)
        self.modulation = Modulation(width, spec.cond_width, spec.activation()) if spec.cond_width else None
        self.activation = spec.activation()
        self.linear = ChannelLinear(width, width)

    @property
    def last(self) -> nn.Module:
        return self.linear

    def forward(
        self, x: Float[Tensor, "batch width *positions"], cond: Float[Tensor, "batch cond"] | None
    ) -> Float[Tensor, "batch width *positions"]:
        hidden = self.norm(x)
        if self.modulation is not None:
            hidden = self.modulation(hidden, cond)
        return self.linear(self.activation(hidden))
