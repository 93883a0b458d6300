from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.convolution import convolution
from skiplab.blocks.shift import Shift
from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError


class Bottleneck(Branch):
    """Three pre-activated convolutions: 1x1 to fewer channels, kxk between these, 1x1 back to the width.

    f(x) = conv3(act(norm(conv2(act(norm(conv1(act(norm(x)))) + W act(c))))))

    Source: He et al. 2015, Deep Residual Learning, arXiv:1512.03385, figure 5 (right, from memory); pre-activated: He
        et al. 2016, Identity Mappings, arXiv:1603.05027, figure 4e, in its ResNet-164 and 1001.
    Differs from the source: norm and activation are separate axes; the kxk convolution has the stride, because
        a strided 1x1 convolution would skip positions; the backbone gives the output width, which `reduction` divides
        (the source gives the inner width). The conditioning c is added after a norm, because a norm over few channels
        would remove it.

    Args:
        kernel_size: side of the middle convolution, odd, in pixels.
        reduction: ratio of the output width to the inner channels, which are rounded up; a whole number from 1.
        bias: whether the convolutions have biases.

    Raises:
        SkiplabError: if kernel_size or reduction is out of range.
    """

    def __init__(self, spec: BranchSpec, *, kernel_size: int, reduction: int, bias: bool) -> None:
        super().__init__(spec)
        if not isinstance(reduction, int) or reduction < 1:
            raise SkiplabError(f"branch.reduction={reduction} is invalid; valid: a whole number from 1")
        inner = -(-spec.width_out // reduction)
        self.norm1 = spec.norm(spec.width_in)
        self.conv1 = convolution(spec.width_in, inner, 1, bias=bias)
        self.norm2 = spec.norm(inner)
        self.conv2 = convolution(inner, inner, kernel_size, stride=spec.stride, bias=bias)
        self.norm3 = spec.norm(inner)
        self.conv3 = convolution(inner, spec.width_out, 1, bias=bias)
        self.activation1, self.activation2, self.activation3 = (spec.activation() for _ in range(3))
        self.cond = Shift(inner, spec.cond_width, spec.activation()) if spec.cond_width else None

    @property
    def last(self) -> nn.Module:
        return self.conv3

    def forward(
        self,
        x: Float[Tensor, "batch width_in height width"],
        cond: Float[Tensor, "batch cond"] | None,
    ) -> Float[Tensor, "batch width_out out_height out_width"]:
        hidden = self.norm2(self.conv1(self.activation1(self.norm1(x))))
        if self.cond is not None:
            hidden = self.cond(hidden, cond)
        hidden = self.conv2(self.activation2(hidden))
        return self.conv3(self.activation3(self.norm3(hidden)))
