from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.embedding import check_multiplier
from skiplab.backbones.head import make_head
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.specification import NetworkSpec


class Isotropic(Backbone):
    """One stage of `depth` blocks of one width and resolution between a stem and a head.

    Source: Sandler et al. 2019, Non-discriminative data or weak model?, arXiv:1909.03205 ('isotropic').
    Differs from the source: a convolutional stem at full resolution, noise conditioning, a pixelwise output (class
        scores of the mean over positions with objective=cross_entropy).

    Shapes: (batch, channels, height, width) to the same, or to (batch, num_logits).

    Args:
        cond_multiplier: features of the conditioning vector over `width`.

    Raises:
        SkiplabError: where depth is below 1, the data aren't images, or a long skip is asked for.
    """

    position_dims: ClassVar[int] = 2

    def __init__(self, spec: NetworkSpec, *, cond_multiplier: int) -> None:
        super().__init__(spec)
        self.require(position_dims=self.position_dims, bridges=False, classifies=None)
        depth, width = self.check_depth(multiple=1), spec.width
        check_multiplier(cond_multiplier)
        self.embedding = self.make_embedding(cond_multiplier * width, cond_multiplier * width)
        self.stem = self.make_stem()
        self.stage = Stage(
            spec,
            width_in=width,
            width_out=width,
            num_blocks=depth,
            cond_width=self.embedding.width if self.embedding else 0,
            position_dims=self.position_dims,
        )
        connect([self.stage], spec)
        self.head = make_head(spec, width)

    def make_stem(self) -> nn.Module:
        """From an input to the stream."""
        return nn.Conv2d(self.spec.channels, self.spec.width, kernel_size=3, padding=1)

    def forward(
        self,
        x: Float[Tensor, "batch channels *positions"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch *output"]:
        cond = self.embedding(level, labels) if self.embedding else None
        return self.head(self.stage(self.stem(x), cond))
