"""The base class of extractors whose network is read from a file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor


class FileExtractor(FeatureExtractor):
    """A network from a file, features = network(low + (high - low) (x + 1) / 2), with images resized before it.

    Images are resized bilinearly with antialiasing. The network decides which shapes it takes.

    Source: none.
    Differs from the source: none.

    Args:
        path: the file.
        sha256: the file's expected hash, in hexadecimal digits; null to record it without comparing it.
        num_features: features per image, from 1.
        input_range: the network's input values for -1 and 1, such as [0, 255].
        resize: side in pixels to which images are resized, from 1; null to keep their size.

    Raises:
        SkiplabError: if an argument is out of range, the file is missing, its hash differs, or it can't be loaded.
    """

    def __init__(
        self,
        *,
        path: str | None,
        sha256: str | None,
        num_features: int,
        input_range: Sequence[float],
        resize: int | None,
    ) -> None:
        super().__init__()
        if num_features < 1:
            raise SkiplabError(f"feature_extractor.num_features={num_features} is invalid; valid: from 1")
        if len(input_range) != 2 or not input_range[0] < input_range[1]:
            raise SkiplabError(
                f"feature_extractor.input_range={list(input_range)} is invalid; valid: the lowest and the highest "
                "value, such as [0,255]"
            )
        if resize is not None and resize < 1:
            raise SkiplabError(f"feature_extractor.resize={resize} is invalid; valid: from 1, or null")
        self.num_features, self.input_range, self.resize = num_features, tuple(map(float, input_range)), resize
        self.path = self.find(path)
        self.sha256 = checked_hash(self.path, sha256)
        try:
            self.network = self.load(self.path)
        except Exception as error:
            raise SkiplabError(f"feature_extractor.path={self.path} can't be loaded: {error}") from error
        self.eval().requires_grad_(False)

    def find(self, path: str | None) -> Path:
        """The file's path.

        Raises:
            SkiplabError: if it doesn't exist.
        """
        found = None if path is None else Path(path).expanduser()
        if found is None or not found.is_file():
            given = "null" if path is None else path
            raise SkiplabError(f"feature_extractor.path={given} is not a file; give the path of the network's file")
        return found

    def load(self, path: Path) -> nn.Module:
        raise NotImplementedError(f"{type(self).__name__} must define load(path)")

    @torch.no_grad()
    def check(self, shape: tuple[int, ...]) -> None:
        """Try the network on one black image, before training.

        Raises:
            SkiplabError: if the network fails, or its output's shape isn't (1, num_features).
        """
        device = next(iter([*self.parameters(), *self.buffers()]), torch.empty(0)).device
        try:
            features = self(torch.full((1, *shape), -1.0, device=device))
        except Exception as error:
            reason = str(error).strip().splitlines()[-1]
            raise SkiplabError(
                f"feature_extractor {type(self).__name__} of {self.path} can't take images of shape {shape}: {reason}; "
                "use another feature_extractor, such as raw, or another resize"
            ) from error
        found = tuple(features.shape)
        if found != (1, self.num_features):
            raise SkiplabError(
                f"feature_extractor.num_features={self.num_features}, but the network of {self.path} returns shape "
                f"{found} for one image; set num_features to the number of features, and use a network that returns "
                "(images, features)"
            )

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "input_range": list(self.input_range)}

    def forward(self, images: Float[Tensor, "batch channel *positions"]) -> Float[Tensor, "batch feature"]:
        if self.resize is not None:
            images = F.interpolate(images, (self.resize, self.resize), mode="bilinear", antialias=True)
        low, high = self.input_range
        return self.network(low + (high - low) * (images + 1) / 2)


def checked_hash(path: Path, expected: str | None) -> str:
    """A file's sha256.

    Raises:
        SkiplabError: if it isn't the expected one.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if expected is not None and found != expected.lower():
        raise SkiplabError(
            f"{path} has sha256 {found}, but feature_extractor.sha256 expects {expected}; download the file again, or "
            "set feature_extractor.sha256 to the hash that you trust"
        )
    return found
