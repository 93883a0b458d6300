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
    """One stage of `depth` blocks on patches, conditioned by adaLN; as a classifier, a Vision Transformer.

    The network of the source is branch=transformer, connection=adaln_zero_gate, norm=layer with norm.affine=false,
    activation=gelu, and width and heads of its table 1. Streams keep two position axes, so every branch for images
    supports patches too.

    Source: Peebles and Xie 2023, Scalable Diffusion Models with Transformers (DiT), arXiv:2212.09748, section 3.2;
        its initial weights: its code, github.com/facebookresearch/DiT, models.py.
    Differs from the source: no predicted variance; the activation before adaLN is the option `activation`, not always
        SiLU; a classifier reads the mean over positions, not a class token. Weights start as `init` says, by default
        as in PyTorch. The source draws linear maps and the map of patches from Xavier's uniform distribution, the two
        maps of the level and the vectors of labels from N(0, 0.02^2), and starts biases and the output layer at zero,
        so that it first predicts zero; no option of `init` does all of this. Gates, shifts and scales start at zero in
        both.

    Shapes: (batch, channels, height, width) to the same, or to (batch, num_logits).

    Args:
        patch_size: side of a patch, in pixels.
        num_frequencies: number of sines and cosines of the noise level, an even number from 2.

    Raises:
        SkiplabError: if depth is below 1, patch_size doesn't divide the image, or there is a long skip.
    """

    positions: Tensor

    def __init__(self, spec: NetworkSpec, *, patch_size: int, num_frequencies: int) -> None:
        super().__init__(spec)
        self.require(position_dims=2, has_long_skips=False, classifies=None)
        depth, width = self.check_depth(multiple=1), spec.width
        rows, columns = grid(spec.sides, patch_size)
        if not isinstance(num_frequencies, int) or num_frequencies < 2 or num_frequencies % 2:
            raise SkiplabError(
                f"backbone.num_frequencies={num_frequencies} is invalid; valid: an even whole number from 2"
            )
        self.embedding = None if spec.num_logits else self.make_embedding(width, num_frequencies)
        self.stem = Patchify(spec.channels, width, patch_size)
        self.register_buffer("positions", sinusoidal_positions(width, rows, columns), persistent=False)
        cond_width = 0 if spec.num_logits else width
        self.stage = Stage(
            spec, width_in=width, width_out=width, num_blocks=depth, cond_width=cond_width, position_dims=2
        )
        connect([self.stage], spec)
        self.norm = spec.norm(width)
        if self.embedding is not None:
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
        cond = None if self.embedding is None else self.embedding(level, labels)
        x = self.norm(self.stage(self.stem(x) + self.positions, cond))
        return self.head(x if self.embedding is None else self.modulation(x, cond))
