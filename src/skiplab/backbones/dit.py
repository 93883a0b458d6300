from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.backbones.head import MeanOverPositions
from skiplab.backbones.patches import Patchify, Unpatchify, grid, sinusoidal_positions
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.modulation import Modulation
from skiplab.blocks.specification import NetworkSpec
from skiplab.errors import SkiplabError


class DiT(Backbone):
    """One stage of `depth` blocks on patches, conditioned by adaLN; a Vision Transformer where it classifies.

    The source's network is branch=transformer, connection=adaln_zero_gate, norm=layer with norm.affine=false,
    activation=gelu, width and heads of its table 1. Streams keep two position axes, so every branch for images
    works on patches too.

    Source: Peebles and Xie 2023, Scalable Diffusion Models with Transformers (DiT), arXiv:2212.09748, section 3.2.
    Differs from the source: no predicted variance; the activation before adaLN is the activation axis', not SiLU;
        where it classifies, the mean over positions is read, not a class token.

    Shapes: (batch, channels, height, width) to the same, or to (batch, num_logits).

    Args:
        patch_size: side of a patch, in pixels.
        num_frequencies: sines and cosines of the noise level, an even number from 2.

    Raises:
        SkiplabError: where depth is below 1, patch_size doesn't divide the image, or a long skip is asked for.
    """

    positions: Tensor

    def __init__(self, spec: NetworkSpec, *, patch_size: int, num_frequencies: int) -> None:
        super().__init__(spec)
        self.require(position_dims=2, bridges=False, classifies=None)
        depth, width = self.check_depth(multiple=1), spec.width
        rows, columns = grid(spec.sides, patch_size)
        if not isinstance(num_frequencies, int) or num_frequencies < 2 or num_frequencies % 2:
            raise SkiplabError(
                f"backbone.num_frequencies={num_frequencies} is invalid; valid: an even whole number from 2"
            )
        self.embedding = self.make_embedding(width, num_frequencies)
        self.stem = Patchify(spec.channels, width, patch_size)
        self.register_buffer("positions", sinusoidal_positions(width, rows, columns), persistent=False)
        cond_width = self.embedding.width if self.embedding else 0
        self.stage = Stage(
            spec, width_in=width, width_out=width, num_blocks=depth, cond_width=cond_width, position_dims=2
        )
        connect([self.stage], spec)
        self.norm = spec.norm(width)
        if self.embedding:
            self.modulation = Modulation(width, cond_width, spec.activation())
            self.head = Unpatchify(width, spec.channels, patch_size)
        else:
            self.head = nn.Sequential(MeanOverPositions(), nn.Linear(width, spec.num_logits))

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch *output"]:
        cond = self.embedding(level, labels) if self.embedding else None
        x = self.norm(self.stage(self.stem(x) + self.positions, cond))
        return self.head(self.modulation(x, cond) if self.embedding else x)
