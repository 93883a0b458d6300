from typing import ClassVar

from skiplab.data.hub_images import HubImages
from skiplab.errors import SkiplabError


class CelebA(HubImages):
    """The 202,599 aligned faces: the central 178x178 pixels, resized (bicubic); one attribute is the label.

    Training is the published training split (162,770), validation the published `valid` (19,867); the test split
    is not used.

    Source: Liu et al. 2015, Deep Learning Face Attributes in the Wild, arXiv:1411.7766, the aligned and cropped
        images, as the hub's flwrlabs/celeba.
    Differs from the source: cropped to a square and resized.

    Shapes: images (sample, 3, size, size), labels (sample,): 0 without the attribute, 1 with it.

    Args:
        size: side of an image in pixels, 8 to 178.
        label: name of the attribute, such as Smiling or Eyeglasses.
        path: name on the hub, or local folder with its parquet files.
        cache_dir: folder for decoded images.
        max_resident_bytes: a split larger than this is mapped from its file instead of read into memory.

    Raises:
        SkiplabError: if size is out of range, the files can't be loaded, or have another layout.
    """

    option: ClassVar[str] = "celeba"
    home: ClassVar[str] = "flwrlabs/celeba"
    splits: ClassVar[tuple[str, str]] = ("train", "valid")
    exact_size: ClassVar[bool] = False
    num_classes = 2

    def __init__(self, *, size: int, label: str, path: str, cache_dir: str, max_resident_bytes: int) -> None:
        if not 8 <= size <= 178:
            raise SkiplabError(f"data.size={size} is invalid; valid: 8 to 178")
        super().__init__(label, (3, size, size), path=path, cache_dir=cache_dir, max_resident_bytes=max_resident_bytes)
