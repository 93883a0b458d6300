from jaxtyping import Float
from torch import Tensor, nn

from skiplab.errors import SkiplabError


class Batch(nn.BatchNorm1d):
    """Batch normalisation: each channel to mean 0 and variance 1 over batch and positions, then a trained affine map.

    In evaluation mode the running averages of mean and variance stand in the batch's place. In training a channel needs
    more than one value: torch refuses a batch of one point.

    Source: Ioffe and Szegedy 2015, Batch Normalization, arXiv:1502.03167, algorithms 1 and 2.
    Differs from the source: evaluation takes exponential averages over training batches, as torch does, not averages
        of the finished network.

    Shapes: (batch, width, *positions) to the same.

    Args:
        width: channels (runtime).
        eps: added to the variance, above 0.
        momentum: weight of a new batch in the running averages, above 0 to 1.
        affine: whether there is the trained affine map, a gain and a bias per channel.

    Raises:
        SkiplabError: where eps or momentum is out of range.
    """

    def __init__(self, width: int, *, eps: float, momentum: float, affine: bool) -> None:
        if not eps > 0:
            raise SkiplabError(f"norm.eps={eps} is invalid; valid: a number above 0")
        if not 0 < momentum <= 1:
            raise SkiplabError(f"norm.momentum={momentum} is invalid; valid: a number above 0, to 1")
        super().__init__(width, eps, momentum, affine)

    def forward(self, x: Float[Tensor, "batch width *positions"]) -> Float[Tensor, "batch width *positions"]:
        # All positions on one axis, so that it takes any number of them, none included.
        return super().forward(x.reshape(*x.shape[:2], -1)).reshape(x.shape)
