from jaxtyping import Float
from torch import Tensor, nn

from skiplab.errors import SkiplabError


class RMS(nn.RMSNorm):
    """Root mean square normalization over the channels at each position, y = g x / sqrt(mean(x^2) + eps).

    Source: Zhang and Sennrich 2019, Root Mean Square Layer Normalization, arXiv:1910.07467, eq. 4 (from memory).
    Differs from the source: none; eps is inside the root, as in torch.

    Shapes: (batch, width, *positions) to the same.

    Args:
        width: channels (given at run time).
        eps: added to the mean square, above 0.
        affine: whether it has the trained gain g per channel.

    Raises:
        SkiplabError: if eps isn't above 0.
    """

    def __init__(self, width: int, *, eps: float, affine: bool) -> None:
        if not eps > 0:
            raise SkiplabError(f"norm.eps={eps} is invalid; valid: a number above 0")
        super().__init__(width, eps, elementwise_affine=affine)

    def forward(self, x: Float[Tensor, "batch width *positions"]) -> Float[Tensor, "batch width *positions"]:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
