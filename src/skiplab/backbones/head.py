"""The head of a network, after the last block: an output of the input's shape, or a score for every class."""

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.specification import NetworkSpec


class MeanOverPositions(nn.Module):
    """Global average pooling; points stay unchanged.

    Source: Lin et al. 2014, Network In Network, arXiv:1312.4400, section 3.2 (from memory).
    Differs from the source: none.
    """

    def forward(self, x: Float[Tensor, "batch width *positions"]) -> Float[Tensor, "batch width"]:
        return x.flatten(2).mean(dim=2) if x.ndim > 2 else x


def make_head(spec: NetworkSpec, width: int) -> nn.Sequential:
    """Norm and activation, then a 3x3 convolution to an image, a linear map to a point, or class scores of the mean."""
    if spec.num_logits:
        out: list[nn.Module] = [MeanOverPositions(), nn.Linear(width, spec.num_logits)]
    elif spec.sides:
        out = [nn.Conv2d(width, spec.channels, kernel_size=3, padding=1)]
    else:
        out = [ChannelLinear(width, spec.channels)]
    return nn.Sequential(spec.norm(width), spec.activation(), *out)
