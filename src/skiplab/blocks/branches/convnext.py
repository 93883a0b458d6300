from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.convolution import convolution
from skiplab.blocks.modulation import Modulation
from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError


class ConvNeXt(Branch):
    """A depthwise kxk convolution, then an MLP at each position, f(x) = W2 act(W1 norm(depthwise(x))).

    Conditioning scales and shifts the norm (adaLN).

    Source: Liu et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545, figure 4 (with norm=layer, activation=gelu,
        from memory); the modulation: Peebles and Xie 2023, DiT, arXiv:2212.09748, section 3.2.
    Differs from the source: norm and activation are separate axes; LayerScale is connection=layerscale; if a
        block changes the resolution, its depthwise convolution has the stride, and its MLP changes the width (the
        source has separate layers between its stages).

    Args:
        kernel_size: side of the depthwise convolution, odd, in pixels.
        expansion: ratio of the MLP's hidden channels to the width, a whole number from 1.

    Raises:
        SkiplabError: if kernel_size or expansion is out of range.
    """

    def __init__(self, spec: BranchSpec, *, kernel_size: int, expansion: int) -> None:
        super().__init__(spec)
        if not isinstance(expansion, int) or expansion < 1:
            raise SkiplabError(f"branch.expansion={expansion} is invalid; valid: a whole number from 1")
        width_in, hidden = spec.width_in, expansion * spec.width_out
        self.conv = convolution(width_in, width_in, kernel_size, stride=spec.stride, groups=width_in)
        self.norm = spec.norm(width_in)
        self.modulation = Modulation(width_in, spec.cond_width, spec.activation()) if spec.cond_width else None
        self.linear1 = ChannelLinear(width_in, hidden)
        self.activation = spec.activation()
        self.linear2 = ChannelLinear(hidden, spec.width_out)

    @property
    def last(self) -> nn.Module:
        return self.linear2

    def forward(
        self,
        x: Float[Tensor, "batch width_in height width"],
        cond: Float[Tensor, "batch cond"] | None,
    ) -> Float[Tensor, "batch width_out out_height out_width"]:
        hidden = self.norm(self.conv(x))
        if self.modulation is not None:
            hidden = self.modulation(hidden, cond)
        return self.linear2(self.activation(self.linear1(hidden)))
