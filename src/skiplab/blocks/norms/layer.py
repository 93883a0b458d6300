from jaxtyping import Float
from torch import Tensor, nn

from skiplab.errors import SkiplabError


class Layer(nn.LayerNorm):
    """Layer normalization: the channels at each position to mean 0 and variance 1, then a trained affine map.

    Source: Ba et al. 2016, Layer Normalization, arXiv:1607.06450, eq. 3 (from memory); at each position by itself: Liu
        et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545, section 2.6 (from memory).
    Differs from the source: none.

    Shapes: (batch, width, *positions) to the same.

    Args:
        width: channels (given at run time).
        eps: added to the variance, above 0.
        affine: whether it has the trained affine map, a gain and a bias per channel.

    Raises:
        SkiplabError: if eps isn't above 0.
    """

    def __init__(self, width: int, *, eps: float, affine: bool) -> None:
        if not eps > 0:
            raise SkiplabError(f"norm.eps={eps} is invalid; valid: a number above 0")
        super().__init__(width, eps, elementwise_affine=affine)

    def forward(self, input: Float[Tensor, "batch width *positions"]) -> Float[Tensor, "batch width *positions"]:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)
