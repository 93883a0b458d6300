from jaxtyping import Float
from torch import Tensor, nn

from skiplab.errors import SkiplabError


class Batch(nn.BatchNorm1d):
    """Batch normalization: each channel to mean 0 and variance 1 over batch and positions, then a trained affine map.

    In evaluation mode it uses running averages of mean and variance instead of the batch's. In training each channel
    needs more than one value: torch refuses a batch of one point.

    Source: Ioffe and Szegedy 2015, Batch Normalization, arXiv:1502.03167, algorithms 1 and 2 (from memory).
    Differs from the source: evaluation uses exponential averages over training batches, as torch does, instead of
        averages computed after training.

    Shapes: (batch, width, *positions) to the same.

    Args:
        width: channels (given at run time).
        eps: added to the variance, above 0.
        momentum: weight of a new batch in the running averages, above 0 to 1.
        affine: whether it has the trained affine map, a gain and a bias per channel.

    Raises:
        SkiplabError: if eps or momentum is out of range.
    """

    def __init__(self, width: int, *, eps: float, momentum: float, affine: bool) -> None:
        if not eps > 0:
            raise SkiplabError(f"norm.eps={eps} is invalid; valid: a number above 0")
        if not 0 < momentum <= 1:
            raise SkiplabError(f"norm.momentum={momentum} is invalid; valid: a number above 0, to 1")
        super().__init__(width, eps, momentum, affine)

    def forward(self, input: Float[Tensor, "batch width *positions"]) -> Float[Tensor, "batch width *positions"]:
        # Flattened to one position axis, so that the number of position axes doesn't matter.
        return super().forward(input.reshape(*input.shape[:2], -1)).reshape(input.shape)
