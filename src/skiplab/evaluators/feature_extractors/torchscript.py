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
        sha256: the file's expected hash; null to record it without comparing it.
        num_features: features per image, from 1.
        input_range: the network's input values for -1 and 1, such as [0, 255].
        resize: side in pixels to which images are resized, from 1; null to keep their size.

    Raises:
        SkiplabError: if an argument is out of range, the file is missing, its hash differs, or it isn't TorchScript.
    """

    code: ClassVar[tuple[str, ...]] = ("path",)

    def load(self, path: Path) -> nn.Module:
        return load_torchscript(path)
