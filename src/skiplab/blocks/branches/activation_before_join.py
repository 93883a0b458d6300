from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.specification import BranchSpec
from skiplab.blocks.two_convolutions import TwoConvolutions


class ActivationBeforeJoin(TwoConvolutions):
    """The last activation belongs to the branch, f(x) = act(norm(conv(act(norm(conv(x)) + W act(c))))).

    With ReLU an update is never negative, so that a residual stream can only grow.

    Source: He et al. 2016, Identity Mappings, arXiv:1603.05027, figure 4c and table 2, 'ReLU before addition'; the
        conditioning c, added per channel before the inner activation: Ho et al. 2020, arXiv:2006.11239.
    Differs from the source: norm and activation are axes of their own; the source has BatchNorm and ReLU.

    Args:
        kernel_size: side of both convolutions, odd, in pixels.
        bias: whether both convolutions have biases.
    """

    def __init__(self, spec: BranchSpec, *, kernel_size: int, bias: bool) -> None:
        super().__init__(spec, kernel_size=kernel_size, bias=bias)
        self.norm1 = spec.norm(spec.width_out)
        self.norm2 = spec.norm(spec.width_out)
        self.activation1 = spec.activation()
        self.activation2 = spec.activation()

    @property
    def last(self) -> nn.Module:
        return self.last_of(self.norm2, self.conv2)

    def forward(
        self,
        x: Float[Tensor, "batch width_in height width"],
        cond: Float[Tensor, "batch cond"] | None,
    ) -> Float[Tensor, "batch width_out out_height out_width"]:
        hidden = self.activation1(self.condition(self.norm1(self.conv1(x)), cond))
        return self.activation2(self.norm2(self.conv2(hidden)))
