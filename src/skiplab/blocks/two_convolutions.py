"""What the branches of two convolutions share: the convolutions, and the conditioning between them."""

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.convolution import convolution
from skiplab.blocks.shift import Shift
from skiplab.blocks.specification import BranchSpec


class TwoConvolutions(Branch):
    """A branch of two convolutions, the first of which changes width and resolution; norms differ by branch.

    Args:
        kernel_size: side of both convolutions, odd, in pixels.
        bias: whether both convolutions have biases.

    Raises:
        SkiplabError: where kernel_size isn't an odd number from 1.
    """

    def __init__(self, spec: BranchSpec, *, kernel_size: int, bias: bool) -> None:
        super().__init__(spec)
        width = spec.width_out
        self.conv1 = convolution(spec.width_in, width, kernel_size, stride=spec.stride, bias=bias)
        self.conv2 = convolution(width, width, kernel_size, bias=bias)
        self.cond = Shift(width, spec.cond_width, spec.activation()) if spec.cond_width else None

    def condition(
        self, hidden: Float[Tensor, "batch width_out height width"], cond: Float[Tensor, "batch cond"] | None
    ) -> Float[Tensor, "batch width_out height width"]:
        """What stands between the convolutions, shifted by the conditioning where there is any."""
        return hidden if self.cond is None else self.cond(hidden, cond)

    @staticmethod
    def last_of(norm: nn.Module, before: nn.Module) -> nn.Module:
        """A norm without a gain leaves the zeros of what stands before it as they are."""
        return norm if next(norm.parameters(), None) is not None else before
