from pathlib import Path
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from skiplab.cache_dir import cache_dir
from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.file_extractor import FileExtractor
from skiplab.evaluators.feature_extractors.torchscript_file import load_torchscript

_FILE = "inception-2015-12-05.pt"
_ADDRESS = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{_FILE}"


class Inception(FileExtractor):
    """The 2,048 features of Inception v3 that define FID and KID. Its file has to be downloaded by hand.

    Images are rounded to whole levels of 0 to 255, as if they had been saved; gray ones are repeated to three
    channels. The network itself brings them to 299 pixels.

    Source: Heusel et al. 2017, arXiv:1706.08500, section 4 (the network of 2015-12-05, from memory); as TorchScript:
        Karras et al. 2020, StyleGAN2-ADA, arXiv:2006.06676 (its code).
    Differs from the source: none.

    Shapes: (batch, 1 or 3, height, width) to (batch, 2048).

    Args:
        path: the TorchScript file; null for inception-2015-12-05.pt in SKIPLAB_CACHE_DIR, or else in ~/.cache/skiplab.
        sha256: the file's expected hash; scores of another file aren't comparable with published ones.

    Raises:
        SkiplabError: if the file is missing (the message has the command that downloads it), or its hash differs.
    """

    code: ClassVar[tuple[str, ...]] = ("path", "sha256")

    def __init__(self, *, path: str | None, sha256: str | None) -> None:
        super().__init__(path=path, sha256=sha256, num_features=2048, input_range=(0, 255), resize=None)
        self.resize = 299  # by the network itself

    def find(self, path: str | None) -> Path:
        place = cache_dir() / _FILE if path is None else Path(path).expanduser()
        if not place.is_file():
            raise SkiplabError(
                f"feature_extractor=inception: {place} does not exist; download it with "
                f"`curl --fail --create-dirs -o {place} {_ADDRESS}`, or give feature_extractor.path=FILE"
            )
        return place

    def load(self, path: Path) -> nn.Module:
        return load_torchscript(path)

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise SkiplabError(
                f"feature_extractor=inception takes images of 1 or 3 channels, but the data's shape is {shape}; "
                "use another feature_extractor, such as raw"
            )
        super().check(shape)

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch 2048"]:
        levels = ((images.clamp(-1, 1) + 1) * 127.5).round()
        return self.network(levels.expand(-1, 3, -1, -1), return_features=True)
