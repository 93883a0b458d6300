from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.embedding import check_multiplier
from skiplab.backbones.head import make_head
from skiplab.backbones.levels import level_widths
from skiplab.backbones.resample import Downsample, Upsample
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.specification import NetworkSpec


class UNet(Backbone):
    """An encoder and a decoder of equal depth, without a middle; a long skip at every level but the lowest.

    Level i has width * channel_multipliers[i] channels and 1/2^i of the resolution. Each level has one encoder
    and one decoder stage of depth / (2 num_levels) blocks. The long skip leaves the encoder at the end of a
    stage and enters the decoder at the start of the stage of its level.

    Source: Ronneberger et al. 2015, arXiv:1505.04597; blocks and conditioning as in Ho et al. 2020,
        arXiv:2006.11239, appendix B.
    Differs from the source: long skips per stage, not per block; no middle blocks and no attention, so that
        every block stands on a path whose only shortcuts are those under test.

    Shapes: (batch, channels, height, width) to the same; sides divisible by 2^(num_levels - 1).

    Args:
        channel_multipliers: width of each level over `width`, one entry a level.
        cond_multiplier: features of the conditioning vector over `width`.

    Raises:
        SkiplabError: where depth isn't a multiple of 2 num_levels, or a multiplier isn't a whole number from 1.
    """

    def __init__(self, spec: NetworkSpec, *, channel_multipliers: Sequence[int], cond_multiplier: int) -> None:
        super().__init__(spec)
        self.require(position_dims=2, bridges=True, classifies=False)
        widths = level_widths(spec, channel_multipliers)
        num_blocks = self.check_depth(multiple=2 * len(widths))
        check_multiplier(cond_multiplier)
        cond_width = cond_multiplier * spec.width
        self.embedding = self.make_embedding(cond_width, cond_width)

        def stage(width_in: int, width_out: int) -> Stage:
            return Stage(
                spec,
                width_in=width_in,
                width_out=width_out,
                num_blocks=num_blocks,
                cond_width=cond_width,
                position_dims=2,
            )

        narrower = widths[:-1]
        self.stem = nn.Conv2d(spec.channels, widths[0], kernel_size=3, padding=1)
        self.encoder = nn.ModuleList(map(stage, [widths[0], *narrower], widths))
        self.down = nn.ModuleList(map(Downsample, narrower))
        self.bottom = stage(widths[-1], widths[-1])
        self.up = nn.ModuleList(map(Upsample, reversed(widths[1:]), reversed(narrower)))
        self.long_skips = nn.ModuleList(spec.long_skip(width, width) for width in reversed(narrower))
        self.decoder = nn.ModuleList(
            stage(bridge.width_out, width) for bridge, width in zip(self.long_skips, reversed(narrower), strict=True)
        )
        connect([*self.encoder, self.bottom, *self.decoder], spec)
        self.head = make_head(spec, widths[0])

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        cond = self.embedding(level, labels)
        x = self.stem(x)
        taps = []
        for stage, down in zip(self.encoder, self.down, strict=False):
            x = stage(x, cond)
            taps.append(x)
            x = down(x)
        x = self.bottom(self.encoder[-1](x, cond), cond)
        for up, long_skip, stage in zip(self.up, self.long_skips, self.decoder, strict=True):
            x = stage(long_skip(up(x), taps.pop()), cond)
        return self.head(x)
