import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.embedding import Sinusoids
from skiplab.backbones.patches import Patchify, Unpatchify, grid
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.long_skip import LongSkip
from skiplab.blocks.module_sequence import ModuleSequence
from skiplab.blocks.specification import NetworkSpec


class UViT(Backbone):
    """A transformer on tokens of patches, noise level and label, with a long skip from each early block to a late one.

    It has (depth - 1) / 2 early blocks, one middle block, and (depth - 1) / 2 late blocks. Each late block reads the
    stream and the output of the early block in its mirrored position. The long skip combines the two, and a linear map
    reduces the result to the width.

    Source: Bao et al. 2023, All are Worth Words: U-ViT, arXiv:2209.12152, section 3 and figure 1
        (from memory); its initial weights: its code, github.com/baofff/U-ViT, libs/uvit.py.
    Differs from the source: each late block has its own memory, so a connection that keeps several entries starts anew
        there; with long_skip=add or none there is no linear map. Weights start as `init` says, by default as in
        PyTorch. The source draws all linear maps, that to the pixels of patches too, from a normal distribution of
        standard deviation 0.02, with zero biases, which no option of `init` does; its convolutions and the vectors of
        labels start as in PyTorch.

    Shapes: (batch, channels, height, width) to the same.

    Args:
        patch_size: side of a patch, in pixels.

    Raises:
        SkiplabError: if depth isn't odd, patch_size doesn't divide the image, or the objective is classification.
    """

    def __init__(self, spec: NetworkSpec, *, patch_size: int) -> None:
        super().__init__(spec)
        self.require(position_dims=2, has_long_skips=True, classifies=False)
        half, width = self.check_depth(multiple=2, minimum=1) - 1, spec.width
        self.grid = grid(spec.sides, patch_size)
        self.stem = Patchify(spec.channels, width, patch_size)
        self.time = Sinusoids(width)
        if spec.num_labels:
            self.label = nn.Embedding(spec.num_labels + 1, width)
        self.num_extras = 2 if spec.num_labels else 1
        self.positions = Positions(width, self.num_extras + self.grid[0] * self.grid[1])

        def stage(num_blocks: int) -> Stage:
            return Stage(spec, width_in=width, width_out=width, num_blocks=num_blocks, cond_width=0, position_dims=1)

        self.encoder: ModuleSequence[Stage] = ModuleSequence([stage(half)] if half else [])
        self.middle = stage(1)
        self.long_skips: ModuleSequence[LongSkip] = ModuleSequence(spec.long_skip(width, width) for _ in range(half))
        self.merges = nn.ModuleList(
            ChannelLinear(long_skip.width_out, width) if long_skip.width_out != width else nn.Identity()
            for long_skip in self.long_skips
        )
        self.decoder: ModuleSequence[Stage] = ModuleSequence(stage(1) for _ in range(half))
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
        assert level is not None  # only a classifier has none
        x = torch.cat([self.extras(level, labels), self.stem(x).flatten(2)], dim=2)
        x = self.positions(x)
        skips: list[Tensor] = []
        for stage in self.encoder:
            skips = stage.streams(x, None)
            x = skips[-1]
        x = self.middle(x, None)
        for long_skip, merge, stage in zip(self.long_skips, self.merges, self.decoder, strict=True):
            x = stage(merge(long_skip(x, skips.pop())), None)
        patches = self.norm(x)[:, :, self.num_extras :].unflatten(2, self.grid)
        return self.head(self.unpatchify(patches))

    def extras(self, level: Tensor, labels: Tensor | None) -> Float[Tensor, "batch width extras"]:
        """The tokens of noise level and label."""
        time = self.time(level)
        tokens = [nn.functional.pad(time, (0, self.spec.width - time.shape[1]))]
        if self.spec.num_labels:
            known = torch.full_like(level, self.spec.num_labels, dtype=torch.long) if labels is None else labels
            tokens.append(self.label(known))
        return torch.stack(tokens, dim=2)


class Positions(nn.Module):
    """A trained vector for each position, x + p; normal with standard deviation 0.02 at the start.

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
