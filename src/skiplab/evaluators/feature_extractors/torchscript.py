from pathlib import Path
from typing import ClassVar

from torch import nn

from skiplab.evaluators.feature_extractors.file_extractor import FileExtractor
from skiplab.evaluators.feature_extractors.torchscript_file import load_torchscript


class Torchscript(FileExtractor):
    """Any network saved as TorchScript, called as network(images).

    Source: none.
    Differs from the source: none.

    Args:
        path: the file.
        sha256: the file's hash; null for whatever it is, which is then recorded.
        num_features: features that the network gives of an image, from 1.
        input_range: what the network expects in the place of -1 and 1, such as [0, 255].
        resize: side in pixels to which images are brought, from 1; null for none.

    Raises:
        SkiplabError: where an argument is out of range, the file is missing or another one, or is no TorchScript.
    """

    code: ClassVar[tuple[str, ...]] = ("path",)

    def load(self, path: Path) -> nn.Module:
        return load_torchscript(path)
