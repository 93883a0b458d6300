from typing import ClassVar

from skiplab.data.hub_images import HubImages
from skiplab.errors import SkiplabError

_NUM_CLASSES = {"fine_label": 100, "coarse_label": 20}


class CIFAR100(HubImages):
    """The 60,000 color images of 32x32 pixels in 100 classes or 20 groups of them, x = byte / 127.5 - 1.

    Validation is the test split.

    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, as the hub's uoft-cs/cifar100.
    Differs from the source: none.

    Shapes: images (sample, 3, 32, 32), labels (sample,).

    Args:
        label: fine_label, of 0 to 99, or coarse_label, of 0 to 19.
        path: name on the hub, or local folder with its parquet files.
        cache_dir: folder for decoded images.
        max_resident_bytes: a split larger than this is mapped from its file instead of read into memory.

    Raises:
        SkiplabError: if the label isn't one of these, the files can't be loaded, or have another layout.
    """

    option: ClassVar[str] = "cifar100"
    home: ClassVar[str] = "uoft-cs/cifar100"
    image_column: ClassVar[str] = "img"

    def __init__(self, *, label: str, path: str, cache_dir: str, max_resident_bytes: int) -> None:
        if label not in _NUM_CLASSES:
            raise SkiplabError(f"data.label={label} is invalid; valid: {', '.join(_NUM_CLASSES)}")
        self.num_classes = _NUM_CLASSES[label]
        super().__init__(label, (3, 32, 32), path=path, cache_dir=cache_dir, max_resident_bytes=max_resident_bytes)
