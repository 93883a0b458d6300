"""Attention between the positions of a stream, as a branch."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.blocks.branch import Branch
from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.modulation import Modulation
from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError


class SelfAttention(Branch):
    """f(x) = W_o softmax(q k^T / sqrt(d)) v per head, with q, k, v linear in the modulated norm of x.

    Conditioning, if there is any, modulates the norm.

    Source: Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762, eq. 1 (from memory); as the branch of a
        U-Net: Ho et al. 2020, arXiv:2006.11239, appendix B; of a transformer: Peebles and Xie 2023, arXiv:2212.09748.
    Differs from the source: the norm is a separate axis.

    Shapes: (batch, width, *positions), with one or two position axes, to the same.

    Args:
        spec: the specification of the branch.
        num_heads: number of heads, a divisor of the width.
        qkv_bias: whether q, k and v have biases.

    Raises:
        SkiplabError: if num_heads doesn't divide the width, or the block changes width or resolution.
    """

    position_dims: ClassVar[tuple[int, ...]] = (1, 2)

    def __init__(self, spec: BranchSpec, *, num_heads: int, qkv_bias: bool) -> None:
        super().__init__(spec)
        width = self.require_constant_width()
        if num_heads < 1 or width % num_heads:
            divisors = [n for n in range(1, width + 1) if width % n == 0]
            raise SkiplabError(
                f"num_heads={num_heads} doesn't divide the width of {width} channels; valid: "
                f"{', '.join(map(str, divisors))}, or another width"
            )
        self.num_heads = num_heads
        self.norm = spec.norm(width)
        self.modulation = Modulation(width, spec.cond_width, spec.activation()) if spec.cond_width else None
        self.qkv = ChannelLinear(width, 3 * width, bias=qkv_bias)
        self.out = ChannelLinear(width, width)

    @property
    def last(self) -> nn.Module:
        return self.out

    def forward(
        self, x: Float[Tensor, "batch width *positions"], cond: Float[Tensor, "batch cond"] | None
    ) -> Float[Tensor, "batch width *positions"]:
        hidden = self.norm(x)
        if self.modulation is not None:
            hidden = self.modulation(hidden, cond)
        heads = self.qkv(hidden).flatten(2).unflatten(1, (3, self.num_heads, -1))
        query, key, value = (part.transpose(2, 3) for part in heads.unbind(1))
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(2, 3).reshape(x.shape))
