import hashlib

from jaxtyping import Float
from torch import Tensor

from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor


class Raw(FeatureExtractor):
    """The flattened data themselves as features; for data of few dimensions, such as points of the plane.

    Source: none.
    Differs from the source: none.

    Shapes: (batch, channel, *positions) to (batch, channel * positions).
    """

    sha256 = hashlib.sha256(b"raw").hexdigest()  # it has no weights, so this is the hash of its name

    def forward(self, images: Float[Tensor, "batch channel *positions"]) -> Float[Tensor, "batch feature"]:
        return images.flatten(1)
