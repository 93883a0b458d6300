from typing import ClassVar

from torch import nn

from skiplab.backbones.isotropic import Isotropic
from skiplab.blocks.channel_linear import ChannelLinear


class MLP(Isotropic):
    """One stage of `depth` blocks between two linear maps, for points of the plane.

    Source: the residual network of He et al. 2015, arXiv:1512.03385, eq. 1, without convolutions.
    Differs from the source: no convolutions, noise conditioning. Take norm=layer or none: without positions, groups
        of two channels would be normalised to their signs.

    Shapes: (batch, channels) to the same, or to (batch, num_logits).

    Args:
        cond_multiplier: features of the conditioning vector over `width`.

    Raises:
        SkiplabError: where depth is below 1, the data aren't points, or a long skip is asked for.
    """

    position_dims: ClassVar[int] = 0

    def make_stem(self) -> nn.Module:
        return ChannelLinear(self.spec.channels, self.spec.width)
