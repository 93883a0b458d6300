"""The interface of a feature extractor, which maps images to the features that distances compare."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.errors import SkiplabError


class FeatureExtractor(nn.Module):
    """A fixed network. Scores state its name and hash.

    shape: the shape of its images, (channel, *positions), with values in [-1, 1]; None if it takes several.
    sha256: hash of its weights; statistics of the training images are cached under it.
    resize: side in pixels to which it resizes images, or None.
    """

    shape: tuple[int, ...] | None = None
    sha256: str
    resize: int | None = None

    def for_shape(self, shape: tuple[int, ...]) -> "FeatureExtractor":
        """The extractor for data of a shape: itself, unless the option selects one by shape."""
        return self

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse, before training, images of another shape.

        Raises:
            SkiplabError: if it takes images of another shape.
        """
        if self.shape is not None and self.shape != shape:
            raise SkiplabError(
                f"feature_extractor {type(self).__name__} takes images of shape {self.shape}, but the data's shape is "
                f"{shape}; use another feature_extractor, such as raw, or evaluators that need none"
            )

    def facts(self) -> dict[str, Any]:
        """Everything that its features depend on. It is stated with a score, and identifies cached statistics."""
        return {"extractor": type(self).__name__, "extractor_sha256": self.sha256, "resize": self.resize}

    def forward(self, images: Float[Tensor, "batch channel *positions"]) -> Float[Tensor, "batch feature"]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(images)")
