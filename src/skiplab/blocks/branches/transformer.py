from collections.abc import Sequence
from typing import ClassVar

from skiplab.blocks.branch import Branch
from skiplab.blocks.branches.mlp import MLP
from skiplab.blocks.self_attention import SelfAttention
from skiplab.blocks.specification import BranchSpec


class Transformer(Branch):
    """A block of two joins: attention between positions, then an MLP at each position, each after a norm.

    Each of the two has its own connection. Conditioning scales and shifts both norms (adaLN).

    Source: Vaswani et al. 2017, arXiv:1706.03762, figure 1 (encoder, from memory); norm first: Xiong et al. 2020,
        arXiv:2002.04745, figure 1b (from memory); the modulation: Peebles and Xie 2023, DiT, arXiv:2212.09748, section
        3.2.
    Differs from the source: norm and activation are separate axes; no dropout.

    Args:
        num_heads: attention heads, a divisor of the width.
        qkv_bias: whether queries, keys and values have biases.
        expansion: ratio of the MLP's hidden channels to the width, a whole number from 1.

    Raises:
        SkiplabError: if an argument is out of range, or the block changes width or resolution.
    """

    position_dims: ClassVar[tuple[int, ...]] = (1, 2)

    def __init__(self, spec: BranchSpec, *, num_heads: int, qkv_bias: bool, expansion: int) -> None:
        super().__init__(spec)
        self.require_constant_width()
        self.attention = SelfAttention(spec, num_heads=num_heads, qkv_bias=qkv_bias)
        self.mlp = MLP(spec, expansion=expansion)

    def branches(self) -> Sequence[Branch]:
        return [self.attention, self.mlp]
