from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import load_file
from torch import nn

from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.file_extractor import FileExtractor
from skiplab.targets import find_target


class Safetensors(FileExtractor):
    """A network of one's own: a class by its dotted name, its weights from a safetensors file.

    Source: none.
    Differs from the source: none.

    Args:
        network: dotted name of an nn.Module class, or of a function that gives a module, called without arguments.
        path: the file.
        sha256: the file's hash; null for whatever it is, which is then recorded.
        num_features: features that the network gives of an image, from 1.
        input_range: what the network expects in the place of -1 and 1, such as [0, 255].
        resize: side in pixels to which images are brought, from 1; null for none.

    Raises:
        SkiplabError: where an argument is out of range, the network can't be imported, the file is missing or another
            one, or its weights aren't the network's.
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
