from jaxtyping import Float, Int
from torch import Tensor

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.head import make_head
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.recipe import Recipe


class Mlp(Backbone):
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

    def __init__(self, recipe: Recipe, *, cond_multiplier: int) -> None:
        super().__init__(recipe)
        self.require(position_dims=0, bridges=False, classifies=None)
        depth, width = self.check_depth(multiple=1), recipe.width
        self.embedding = self.make_embedding(cond_multiplier * width, cond_multiplier * width)
        self.stem = ChannelLinear(recipe.channels, width)
        self.stage = Stage(
            recipe,
            width_in=width,
            width_out=width,
            num_blocks=depth,
            cond_width=self.embedding.width if self.embedding else 0,
            position_dims=0,
        )
        connect([self.stage], recipe)
        self.head = make_head(recipe, width)

    def forward(
        self,
        x: Float[Tensor, "batch channels"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch output"]:
        cond = self.embedding(level, labels) if self.embedding else None
        return self.head(self.stage(self.stem(x), cond))
