from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import load_file
from torch import nn

from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.file_extractor import FileExtractor
from skiplab.targets import find_target


class Safetensors(FileExtractor):
    """Your own network: a class given by its dotted name, with weights from a safetensors file.

    Source: none.
    Differs from the source: none.

    Args:
        network: dotted name of an nn.Module class, or of a function that returns a module, called without arguments.
        path: the file.
        sha256: the file's expected hash; null to record it without comparing it.
        num_features: features per image, from 1.
        input_range: the network's input values for -1 and 1, such as [0, 255].
        resize: side in pixels to which images are resized, from 1; null to keep their size.

    Raises:
        SkiplabError: if an argument is out of range, the network can't be imported, the file is missing, its hash
            differs, or its weights don't fit the network.
    """

    code: ClassVar[tuple[str, ...]] = ("network",)

    def __init__(
        self,
        *,
        network: str | None,
        path: str | None,
        sha256: str | None,
        num_features: int,
        input_range: Sequence[float],
        resize: int | None,
    ) -> None:
        if network is None:
            raise SkiplabError("feature_extractor.network=null; valid: a class by its dotted name, mypackage.Encoder")
        self.make_network = find_target("feature_extractor.network", network, nn.Module, unannotated=True)
        self.network_name = network
        super().__init__(path=path, sha256=sha256, num_features=num_features, input_range=input_range, resize=resize)

    def load(self, path: Path) -> nn.Module:
        network = self.make_network()
        network.load_state_dict(load_file(path))
        return network

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "network": self.network_name}
