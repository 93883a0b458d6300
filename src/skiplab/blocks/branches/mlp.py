from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.modulation import Modulation
from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError


class MLP(Branch):
    """Two linear maps at each position, f(x) = W2 act(W1 norm(x)); conditioning scales and shifts the norm.

    Source: Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762, eq. 2 (from memory); the modulation:
        Peebles and Xie 2023, DiT, arXiv:2212.09748, section 3.2.
    Differs from the source: norm and activation are separate axes.

    Args:
        expansion: ratio of hidden channels to the width, a whole number from 1.

    Raises:
        SkiplabError: if expansion is below 1, or the block changes width or resolution.
    """

    position_dims: ClassVar[tuple[int, ...]] = (0, 1, 2)

    def __init__(self, spec: BranchSpec, *, expansion: int) -> None:
        super().__init__(spec)
        if expansion < 1:
            raise SkiplabError(f"branch.expansion={expansion} is invalid; valid: a whole number from 1")
        width = self.require_constant_width()
        self.norm = spec.norm(width)
        self.modulation = Modulation(width, spec.cond_width, spec.activation()) if spec.cond_width else None
        self.linear1 = ChannelLinear(width, expansion * width)
        self.activation = spec.activation()
        self.linear2 = ChannelLinear(expansion * width, width)

    @property
    def last(self) -> nn.Module:
        return self.linear2

    def forward(
        self, x: Float[Tensor, "batch width *positions"], cond: Float[Tensor, "batch cond"] | None
    ) -> Float[Tensor, "batch width *positions"]:
        hidden = self.norm(x)
        if self.modulation is not None:
            hidden = self.modulation(hidden, cond)
        return self.linear2(self.activation(self.linear1(hidden)))
