"""The interface of a feature extractor: images to the features that distances are measured in."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.errors import SkiplabError


class FeatureExtractor(nn.Module):
    """A fixed network; scores measured with it name it and its hash.

    shape: the images that it takes, (channel, *positions), values in [-1, 1]; None where it takes several.
    sha256: hash of its weights; statistics of the training images are kept under it.
    resize: side in pixels to which it brings images, or None.
    """

    shape: tuple[int, ...] | None = None
    sha256: str
    resize: int | None = None

    def for_shape(self, shape: tuple[int, ...]) -> "FeatureExtractor":
        """The extractor for data of a shape; itself, unless its option stands for several."""
        return self

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse, before training, data that it can't take.

        Raises:
            SkiplabError: where the data's images aren't those that it takes.
        """
        if self.shape is not None and self.shape != shape:
            raise SkiplabError(
                f"feature_extractor {type(self).__name__} takes images of shape {self.shape}, the data has {shape}; "
                "choose another feature_extractor, such as raw, or evaluators that need none"
            )

    def facts(self) -> dict[str, Any]:
        """All that its features depend on; stated beside a score, and part of what cached statistics are kept under."""
        return {"extractor": type(self).__name__, "extractor_sha256": self.sha256, "resize": self.resize}

    def forward(self, images: Float[Tensor, "batch channel *positions"]) -> Float[Tensor, "batch feature"]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(images)")
