from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.embedding import check_multiplier
from skiplab.backbones.head import make_head
from skiplab.backbones.levels import level_widths
from skiplab.backbones.resample import Downsample, Upsample
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.branch import Branch
from skiplab.blocks.self_attention import SelfAttention
from skiplab.blocks.specification import BranchSpec, NetworkSpec


class DDPMUNet(Backbone):
    """The U-Net of DDPM: attention at chosen levels and in the middle, a long skip for every block of the encoder.

    With n blocks a level, the encoder has n at each of its L levels, the middle two with attention between, and the
    decoder n + 1 at each: depth = L (2n + 1) + 2. Every decoder block reads one output of the encoder (of the stem,
    of a block, of a downsampling) through the long skip. An attention is a join of its own behind its block's.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, appendix B: with width=128, depth=22, branch=preact,
        norm=group with 32 groups, shortcut=projection the network for CIFAR-10, of 35.7 million parameters.
    Differs from the source: no dropout; decoder blocks have a memory of their own each, so a connection that keeps
        several entries starts anew there.

    Shapes: (batch, channels, height, width) to the same; sides divisible by 2^(num_levels - 1).

    Args:
        channel_multipliers: width of each level over `width`, one entry a level.
        attention_levels: numbers of the levels with attention, 0 the highest resolution.
        num_heads: heads of every attention.
        cond_multiplier: features of the conditioning vector over `width`.

    Raises:
        SkiplabError: where depth isn't L (2n + 1) + 2, or an argument is out of range.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        channel_multipliers: Sequence[int],
        attention_levels: Sequence[int],
        num_heads: int,
        cond_multiplier: int,
    ) -> None:
        super().__init__(spec)
        self.require(position_dims=2, bridges=True, classifies=False)
        widths = level_widths(spec, channel_multipliers)
        num_levels = len(widths)
        num_blocks = self.check_depth(multiple=2 * num_levels, least=3 * num_levels + 2)
        check_multiplier(cond_multiplier)
        self.embedding = self.make_embedding(cond_multiplier * spec.width, spec.width)

        def attention(branch_spec: BranchSpec) -> Branch:
            return SelfAttention(branch_spec, num_heads=num_heads, qkv_bias=True)

        def stage(width_in: int, width_out: int, num_blocks: int, attended: Sequence[int]) -> Stage:
            return Stage(
                spec,
                width_in=width_in,
                width_out=width_out,
                num_blocks=num_blocks,
                cond_width=self.embedding.width,
                position_dims=2,
                attention=attention,
                attended=attended,
            )

        attended = [range(num_blocks) if level in attention_levels else () for level in range(num_levels)]
        self.stem = nn.Conv2d(spec.channels, widths[0], kernel_size=3, padding=1)
        self.encoder = nn.ModuleList(
            stage(width_in, width_out, num_blocks, blocks)
            for width_in, width_out, blocks in zip([widths[0], *widths[:-1]], widths, attended, strict=True)
        )
        self.down = nn.ModuleList(map(Downsample, widths[:-1]))
        self.middle = stage(widths[-1], widths[-1], 2, [0])
        taps = [widths[0]]  # widths of what the encoder leaves, in its order
        for level, width in enumerate(widths):
            taps += [width] * (num_blocks + (level < num_levels - 1))
        self.long_skips, self.decoder, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width_in = widths[-1]
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(num_blocks + 1):
                self.long_skips.append(spec.long_skip(width_in, taps.pop()))
                blocks = [0] if level in attention_levels else []
                self.decoder.append(stage(self.long_skips[-1].width_out, width, 1, blocks))
                width_in = width
            if level > 0:
                self.up.append(Upsample(width, width))
        self.num_blocks = num_blocks
        connect([*self.encoder, self.middle, *self.decoder], spec)
        self.head = make_head(spec, widths[0])

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        cond = self.embedding(level, labels)
        x = self.stem(x)
        taps = [x]
        for index, stage in enumerate(self.encoder):
            taps += stage.streams(x, cond)
            if index < len(self.down):
                taps.append(self.down[index](taps[-1]))
            x = taps[-1]
        x = self.middle(x, cond)
        blocks = zip(self.long_skips, self.decoder, strict=True)
        for index, (long_skip, stage) in enumerate(blocks, start=1):
            x = stage(long_skip(x, taps.pop()), cond)
            if index % (self.num_blocks + 1) == 0 and taps:
                x = self.up[index // (self.num_blocks + 1) - 1](x)
        return self.head(x)
