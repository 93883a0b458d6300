"""The interface of a backbone: how blocks are stacked into a network."""

from collections.abc import Iterator

from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.embedding import Embedding
from skiplab.blocks.specification import NetworkSpec
from skiplab.errors import SkiplabError

_KINDS = {0: "points", 1: "sequences", 2: "images"}


class Backbone(nn.Module):
    """A network of stages, built from its specification.

    `depth` counts blocks on the longest path from input to output.

    Shapes: forward(x, level, labels): x (batch, *spec.shape), level (batch,) in [0, 1], labels (batch,), or None for
    unknown labels, to (batch, *spec.shape). A classifier has forward(x) to (batch, num_logits).
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def option(self) -> str:
        """Its name as an option, which is the name of its file."""
        return type(self).__module__.rpartition(".")[2]

    def check_depth(self, *, multiple: int, minimum: int | None = None) -> int:
        """Check that depth = minimum + (n - 1) * multiple for a whole number n from 1, and return n.

        Args:
            multiple: difference between two valid depths.
            minimum: the smallest valid depth; `multiple` by default, so that n = depth / multiple.

        Raises:
            SkiplabError: if there is no such n; the message names the nearest valid depths.
        """
        depth, minimum = self.spec.depth, multiple if minimum is None else minimum
        repeats, rest = divmod(depth - minimum, multiple)
        if repeats < 0 or rest:
            below = minimum + multiple * max(repeats, 0)
            nearest = [below] if depth < minimum else [below, below + multiple]
            every = "every whole number from 1" if multiple == 1 else f"{minimum} and every {multiple} more"
            raise SkiplabError(
                f"depth={depth} is impossible for backbone={self.option}; valid: {every}, "
                f"nearest {' and '.join(map(str, nearest))}"
            )
        return repeats + 1

    def require(self, *, position_dims: int, has_long_skips: bool, classifies: bool | None) -> None:
        """Refuse data, long skips and objectives that this backbone doesn't support.

        Args:
            position_dims: position axes of the inputs that it supports.
            has_long_skips: whether it has long skips.
            classifies: whether it predicts classes or an image; None if it supports both.

        Raises:
            SkiplabError: if the specification asks for anything else; the message names a backbone that supports it.
        """
        spec, found = self.spec, len(self.spec.sides)
        if found != position_dims:
            others = {0: "mlp", 2: "unet or isotropic"}.get(found, "of your own")
            raise SkiplabError(
                f"backbone={self.option} needs {_KINDS[position_dims]}, and the data are {_KINDS[found]} of shape "
                f"{spec.shape}; take backbone={others}"
            )
        if not has_long_skips and spec.long_skip(1, 1).reads_encoder:
            raise SkiplabError(
                f"backbone={self.option} has no encoder and decoder, and so no long skips; take long_skip=none, or "
                "backbone=unet"
            )
        if classifies is not None and classifies != bool(spec.num_logits):
            wanted, others = ("an image", "unet or isotropic") if classifies else ("classes", "resnet or isotropic")
            raise SkiplabError(f"backbone={self.option} can't predict {wanted}; take backbone={others}")

    def drawn_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules that the option `init` initializes, with their paths: by default, all.

        A network with its own initial weights excludes its modules. It has drawn the weights from the global generator,
        which is seeded before the network is built.
        """
        return self.named_modules()

    def make_embedding(self, width: int, num_features: int) -> Embedding:
        """The conditioning vector of a denoiser, of `width` features; a classifier has none."""
        return Embedding(width, num_features, self.spec.num_labels, self.spec.activation())

    def forward(
        self,
        x: Float[Tensor, "batch channels *positions"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch *output"]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, level, labels)")
