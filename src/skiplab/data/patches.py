import torch
from jaxtyping import UInt8
from torch import Tensor

from skiplab.data.dataset import Dataset, Split
from skiplab.data.scikit_learn_files import read_photograph
from skiplab.errors import SkiplabError

_PHOTOGRAPHS = ("china.jpg", "flower.jpg")
_REGION = 64  # pixels a side; a photograph of 427x640 has 6 x 10 whole regions
_NUM_VAL_REGIONS = 12


class Patches(Dataset):
    """Patches of natural images, cut from the two photographs that come with scikit-learn; no download.

    Each photograph is laid out in 60 regions of 64x64 pixels; 12 of them, drawn at random, are for validation and
    48 for training. A patch lies within one region, so no pixel is in both splits. Patches overlap within a split,
    and are distinct. Bytes become x = byte / 127.5 - 1.

    Source: `sklearn.datasets.load_sample_images`: a Chinese building and a flower, 427x640 pixels, RGB.
    Differs from the source: cut into patches; the last 43 rows are left out.

    Shapes: images (sample, 3, size, size), labels (sample,): 0 the building, 1 the flower.

    Args:
        size: side of a patch in pixels, 1 to 64.
        num_train: training patches; there are 96 (65 - size)^2 to draw from.
        num_val: validation patches; there are 24 (65 - size)^2 to draw from.
        seed: of the regions and of the patches; the same for every trial of a study.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    num_classes = len(_PHOTOGRAPHS)

    def __init__(self, *, size: int, num_train: int, num_val: int, seed: int) -> None:
        if not 1 <= size <= _REGION:
            raise SkiplabError(f"data.size={size} is invalid; valid: 1 to {_REGION}")
        photographs = torch.stack([_regions(name) for name in _PHOTOGRAPHS])
        generator = torch.Generator().manual_seed(seed)
        orders = [torch.randperm(photographs.shape[1], generator=generator) for _ in _PHOTOGRAPHS]
        val, train = (
            torch.stack([regions[order[part]] for regions, order in zip(photographs, orders, strict=True)])
            for part in (slice(_NUM_VAL_REGIONS), slice(_NUM_VAL_REGIONS, None))
        )
        self.train = _cut(train, size, num_train, generator, "num_train")
        self.val = _cut(val, size, num_val, generator, "num_val")


def _regions(name: str) -> UInt8[Tensor, "region 3 64 64"]:
    """All whole regions of a photograph, from the upper left one on."""
    photograph = torch.from_numpy(read_photograph(name)).permute(2, 0, 1)
    tiles = photograph.unfold(1, _REGION, _REGION).unfold(2, _REGION, _REGION)
    return tiles.permute(1, 2, 0, 3, 4).flatten(0, 1)


def _cut(
    regions: UInt8[Tensor, "photograph region 3 64 64"], size: int, count: int, generator: torch.Generator, key: str
) -> Split:
    """`count` distinct patches, at places drawn from all that lie within a region."""
    places = torch.Size((*regions.shape[:2], _REGION - size + 1, _REGION - size + 1))
    if not 1 <= count <= places.numel():
        raise SkiplabError(f"data.{key}={count} is invalid; valid: 1 to {places.numel()} with data.size={size}")
    indices = torch.randperm(places.numel(), generator=generator)[:count]
    photograph, region, top, left = torch.unravel_index(indices, places)
    windows = regions.unfold(3, size, 1).unfold(4, size, 1)  # a view: (photograph, region, 3, top, left, size, size)
    return Split(windows[photograph, region, :, top, left], photograph)
