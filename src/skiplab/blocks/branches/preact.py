from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.specification import BranchSpec
from skiplab.blocks.two_convolutions import TwoConvolutions


class Preact(TwoConvolutions):
    """Two convolutions, each after its norm and activation, f(x) = conv(act(norm(conv(act(norm(x))) + W act(c)))).

    Source: He et al. 2016, Identity Mappings, arXiv:1603.05027, figure 4e 'full pre-activation'; the
        conditioning c, added per channel between the convolutions: Ho et al. 2020, arXiv:2006.11239, appendix B.
    Differs from the source: norm and activation are axes of their own; no dropout.

    Args:
        kernel_size: side of both convolutions, odd, in pixels.
        bias: whether both convolutions have biases.
    """

    def __init__(self, spec: BranchSpec, *, kernel_size: int, bias: bool) -> None:
        super().__init__(spec, kernel_size=kernel_size, bias=bias)
        self.norm1 = spec.norm(spec.width_in)
        self.norm2 = spec.norm(spec.width_out)
        self.activation1 = spec.activation()
        self.activation2 = spec.activation()

    @property
    def last(self) -> nn.Module:
        return self.conv2

    def forward(
        self,
        x: Float[Tensor, "batch width_in height width"],
        cond: Float[Tensor, "batch cond"] | None,
    ) -> Float[Tensor, "batch width_out out_height out_width"]:
        hidden = self.condition(self.conv1(self.activation1(self.norm1(x))), cond)
        return self.conv2(self.activation2(self.norm2(hidden)))
