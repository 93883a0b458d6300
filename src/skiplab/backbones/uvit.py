import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.embedding import Sinusoids
from skiplab.backbones.patches import Patchify, Unpatchify, grid
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.specification import NetworkSpec


class UViT(Backbone):
    """A transformer on tokens of patches, noise level and label, with a long skip from each early block to a late one.

    (depth - 1) / 2 blocks, one in the middle, (depth - 1) / 2 blocks that each read the stream and the output of
    their mirror image, joined by the long skip and brought back to the width by a linear map.

    Source: Bao et al. 2023, All are Worth Words: U-ViT, arXiv:2209.12152, section 3 and figure 1.
    Differs from the source: blocks behind a long skip have a memory of their own each, so a connection that keeps
        several entries starts anew there; with long_skip=add or none there is no linear map.

    Shapes: (batch, channels, height, width) to the same.

    Args:
        patch_size: side of a patch, in pixels.

    Raises:
        SkiplabError: where depth isn't odd, patch_size doesn't divide the image, or the objective is classification.
    """

    def __init__(self, spec: NetworkSpec, *, patch_size: int) -> None:
        super().__init__(spec)
        self.require(position_dims=2, bridges=True, classifies=False)
        half, width = self.check_depth(multiple=2, least=1) - 1, spec.width
        self.grid = grid(spec.sides, patch_size)
        self.stem = Patchify(spec.channels, width, patch_size)
        self.time = Sinusoids(width)
        if spec.num_labels:
            self.label = nn.Embedding(spec.num_labels + 1, width)
        self.num_extras = 2 if spec.num_labels else 1
        self.positions = Positions(width, self.num_extras + self.grid[0] * self.grid[1])

        def stage(num_blocks: int) -> Stage:
            return Stage(spec, width_in=width, width_out=width, num_blocks=num_blocks, cond_width=0, position_dims=1)

        self.encoder = nn.ModuleList([stage(half)] if half else [])
        self.middle = stage(1)
        self.long_skips = nn.ModuleList(spec.long_skip(width, width) for _ in range(half))
        self.merges = nn.ModuleList(
            ChannelLinear(bridge.width_out, width) if bridge.width_out != width else nn.Identity()
            for bridge in self.long_skips
        )
        self.decoder = nn.ModuleList(stage(1) for _ in range(half))
        connect([*self.encoder, self.middle, *self.decoder], spec)
        self.norm = spec.norm(width)
        self.unpatchify = Unpatchify(width, spec.channels, patch_size)
        self.head = nn.Conv2d(spec.channels, spec.channels, kernel_size=3, padding=1)

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        x = torch.cat([self.extras(level, labels), self.stem(x).flatten(2)], dim=2)
        x = self.positions(x)
        taps = []
        for stage in self.encoder:
            taps = stage.streams(x, None)
            x = taps[-1]
        x = self.middle(x, None)
        for long_skip, merge, stage in zip(self.long_skips, self.merges, self.decoder, strict=True):
            x = stage(merge(long_skip(x, taps.pop())), None)
        patches = self.norm(x)[:, :, self.num_extras :].unflatten(2, self.grid)
        return self.head(self.unpatchify(patches))

    def extras(self, level: Tensor, labels: Tensor | None) -> Float[Tensor, "batch width extras"]:
        """The tokens that are no patches."""
        time = self.time(level)
        tokens = [nn.functional.pad(time, (0, self.spec.width - time.shape[1]))]
        if self.spec.num_labels:
            known = torch.full_like(level, self.spec.num_labels, dtype=torch.long) if labels is None else labels
            tokens.append(self.label(known))
        return torch.stack(tokens, dim=2)


class Positions(nn.Module):
    """A trained vector for each position, x + p; normal with standard deviation 0.02 at first.

    Source: Dosovitskiy et al. 2021, ViT, arXiv:2010.11929, eq. 1. Differs from the source: none.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, count))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Float[Tensor, "batch width positions"]) -> Float[Tensor, "batch width positions"]:
        return x + self.weight
