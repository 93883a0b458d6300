from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.specification import BranchSpec
from skiplab.blocks.two_convolutions import TwoConvolutions


class NormAfterJoin(TwoConvolutions):
    """The second norm stands behind the join, f(x) = conv(act(norm(conv(x)) + W act(c))); act(norm(.)) after the join.

    Norm and activation after the join stand in every arm, so that plain and residual differ in the join alone.

    Source: He et al. 2016, Identity Mappings, arXiv:1603.05027, figure 4b and table 2, 'BN after addition'; the
        conditioning c, added per channel before the inner activation: Ho et al. 2020, arXiv:2006.11239.
    Differs from the source: norm and activation are axes of their own; the source has BatchNorm and ReLU.

    Args:
        kernel_size: side of both convolutions, odd, in pixels.
        bias: whether both convolutions have biases.
    """

    def __init__(self, spec: BranchSpec, *, kernel_size: int, bias: bool) -> None:
        super().__init__(spec, kernel_size=kernel_size, bias=bias)
        self.norm1 = spec.norm(spec.width_out)
        self.activation = spec.activation()
        self.activation_after_join = nn.Sequential(spec.norm(spec.width_out), spec.activation())

    @property
    def last(self) -> nn.Module:
        return self.conv2

    def forward(
        self,
        x: Float[Tensor, "batch width_in height width"],
        cond: Float[Tensor, "batch cond"] | None,
    ) -> Float[Tensor, "batch width_out out_height out_width"]:
        return self.conv2(self.activation(self.condition(self.norm1(self.conv1(x)), cond)))
