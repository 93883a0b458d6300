"""The interface of a backbone: how blocks are stacked into a network."""

from collections.abc import Iterator

from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.embedding import Embedding
from skiplab.blocks.specification import NetworkSpec
from skiplab.errors import SkiplabError

_KINDS = {0: "points", 1: "sequences", 2: "images"}


class Backbone(nn.Module):
    """A network of stages, built from a spec.

    `depth` counts blocks on the longest path from input to output.

    Shapes: forward(x, level, labels): x (batch, *spec.shape), level (batch,) in [0, 1], labels (batch,) or None
    for unknown, to (batch, *spec.shape); for a classifier, forward(x) to (batch, num_logits).
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def option(self) -> str:
        """Its name as an option: its file's."""
        return type(self).__module__.rpartition(".")[2]

    def check_depth(self, *, multiple: int, least: int | None = None) -> int:
        """How often `multiple` blocks are repeated above `least` - multiple others.

        Raises:
            SkiplabError: where the depth isn't `least` plus a multiple of `multiple`; names the nearest that are.
        """
        depth, least = self.spec.depth, multiple if least is None else least
        repeats, rest = divmod(depth - least, multiple)
        if repeats < 0 or rest:
            below = least + multiple * max(repeats, 0)
            nearest = [below] if depth < least else [below, below + multiple]
            every = "every whole number from 1" if multiple == 1 else f"{least} and every {multiple} more"
            raise SkiplabError(
                f"depth={depth} is impossible for backbone={self.option}; valid: {every}, "
                f"nearest {' and '.join(map(str, nearest))}"
            )
        return repeats + 1

    def require(self, *, position_dims: int, bridges: bool, classifies: bool | None) -> None:
        """Refuse data, long skips and objectives that this backbone has no place for.

        Args:
            position_dims: position axes of an input that it takes.
            bridges: whether it has long skips.
            classifies: what it predicts, classes or an image; None where it can do both.
        """
        spec, found = self.spec, len(self.spec.sides)
        if found != position_dims:
            others = {0: "mlp", 2: "unet or isotropic"}.get(found, "of your own")
            raise SkiplabError(
                f"backbone={self.option} takes {_KINDS[position_dims]}, and the data are {_KINDS[found]} of shape "
                f"{spec.shape}; take backbone={others}"
            )
        if not bridges and spec.long_skip(1, 1).bridges:
            raise SkiplabError(
                f"backbone={self.option} has no encoder and decoder to bridge; add long_skip=none (or take "
                "backbone=unet)"
            )
        if classifies is not None and classifies != bool(spec.num_logits):
            asked, others = ("an image", "unet or isotropic") if classifies else ("classes", "resnet or isotropic")
            raise SkiplabError(f"backbone={self.option} can't predict {asked}; take backbone={others}")

    def drawn_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules whose parameters start as the axis `init` says, with their paths: all, unless it brings its own.

        A network that brings its own weights has taken them from the global generator, which the seed has set.
        """
        return self.named_modules()

    def make_embedding(self, width: int, num_features: int) -> Embedding | None:
        """What conditions every block; None for a classifier, which is told nothing."""
        spec = self.spec
        return None if spec.num_logits else Embedding(width, num_features, spec.num_labels, spec.activation())

    def forward(
        self,
        x: Float[Tensor, "batch channels *positions"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch *output"]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, level, labels)")
