import itertools

from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.head import MeanOverPositions
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.specification import NetworkSpec


class ResNet(Backbone):
    """The classifier of He et al. for small images: three stages of depth / 3 blocks, each half the size.

    Each stage is twice as wide as the one before. With the branches `basic` and `preact`, of two convolutions, it has
    2 depth + 2 weight layers: ResNet-20 is depth=9, ResNet-110 depth=54. Norm and activation stand behind the stem
    where the branch has its activation after the join (basic), and behind the last stage elsewhere (preact).

    Source: He et al. 2015, Deep Residual Learning, arXiv:1512.03385, section 4.2; pre-activation: He et al. 2016,
        arXiv:1603.05027, appendix.
    Differs from the source: none with width=16, norm=batch, activation=relu, branch.bias=false.

    Shapes: (batch, channels, height, width) to (batch, num_logits).

    Raises:
        SkiplabError: where depth isn't a multiple of 3, the data aren't images, a long skip is asked for, or the
            objective isn't classification.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.require(position_dims=2, bridges=False, classifies=True)
        num_blocks = self.check_depth(multiple=3)
        widths = [spec.width, spec.width, 2 * spec.width, 4 * spec.width]
        self.stages = nn.ModuleList(
            Stage(
                spec,
                width_in=width_in,
                width_out=width_out,
                num_blocks=num_blocks,
                cond_width=0,
                position_dims=2,
                stride=width_out // width_in,
            )
            for width_in, width_out in itertools.pairwise(widths)
        )
        connect(list(self.stages), spec)
        stem = nn.Conv2d(spec.channels, widths[0], kernel_size=3, padding=1, bias=False)
        out = [MeanOverPositions(), nn.Linear(widths[-1], spec.num_logits)]
        activates = not isinstance(self.stages[0].joins[0].branch.activation_after_join, nn.Identity)

        def normed(width: int) -> list[nn.Module]:
            return [spec.norm(width), spec.activation()]

        self.stem = nn.Sequential(stem, *(normed(widths[0]) if activates else []))
        self.head = nn.Sequential(*([] if activates else normed(widths[-1])), *out)

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch logits"]:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x, None)
        return self.head(x)
