from torch import nn

from skiplab.errors import SkiplabError


class Group(nn.GroupNorm):
    """Group normalization: each group of channels of a sample to mean 0 and variance 1, then a trained affine map.

    Source: Wu and He 2018, Group Normalization, arXiv:1803.08494, eq. 1 (from memory).
    Differs from the source: none.

    Args:
        width: channels (given at run time).
        num_groups: groups; must divide the width.
        eps: added to the variance, above 0.
        affine: whether it has the trained affine map, a gain and a bias per channel.

    Raises:
        SkiplabError: if num_groups doesn't divide the width, or eps isn't above 0.
    """

    def __init__(self, width: int, *, num_groups: int, eps: float, affine: bool) -> None:
        if num_groups < 1 or width % num_groups:
            divisors = [n for n in range(1, width + 1) if width % n == 0]
            raise SkiplabError(
                f"norm.num_groups={num_groups} doesn't divide the {width} channels of a layer; "
                f"valid: {', '.join(map(str, divisors))} (or another width)"
            )
        if not eps > 0:
            raise SkiplabError(f"norm.eps={eps} is invalid; valid: a number above 0")
        super().__init__(num_groups, width, eps, affine)
