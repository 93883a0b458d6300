"""What stands behind the last block: an image of the input's shape, or a score for every class."""

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.recipe import Recipe


class MeanOverPositions(nn.Module):
    """Global average pooling; points stay as they are.

    Source: Lin et al. 2014, Network In Network, arXiv:1312.4400, section 3.2. Differs from the source: none.
    """

    def forward(self, x: Float[Tensor, "batch width *positions"]) -> Float[Tensor, "batch width"]:
        return x.flatten(2).mean(dim=2) if x.ndim > 2 else x


def make_head(recipe: Recipe, width: int) -> nn.Sequential:
    """Norm and activation, then a 3x3 convolution to an image (a linear map to a point), or the mean's class scores."""
    if recipe.num_logits:
        out = [MeanOverPositions(), nn.Linear(width, recipe.num_logits)]
    elif recipe.sides:
        out = [nn.Conv2d(width, recipe.channels, kernel_size=3, padding=1)]
    else:
        out = [ChannelLinear(width, recipe.channels)]
    return nn.Sequential(recipe.norm(width), recipe.activation(), *out)
