from typing import ClassVar

from skiplab.data.hub_images import HubImages


class CIFAR10(HubImages):
    """The 60,000 color images of 32x32 pixels in ten classes, x = byte / 127.5 - 1; validation is the test split.

    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, as the hub's uoft-cs/cifar10.
    Differs from the source: none.

    Shapes: images (sample, 3, 32, 32), labels (sample,) of 0 to 9.

    Args:
        path: name on the hub, or local folder with its parquet files.
        cache_dir: folder for decoded images.
        max_resident_bytes: a split larger than this is mapped from its file instead of read into memory.

    Raises:
        SkiplabError: if the files can't be loaded, or have another layout.
    """

    option: ClassVar[str] = "cifar10"
    home: ClassVar[str] = "uoft-cs/cifar10"
    image_column: ClassVar[str] = "img"
    num_classes = 10

    def __init__(self, *, path: str, cache_dir: str, max_resident_bytes: int) -> None:
        super().__init__("label", (3, 32, 32), path=path, cache_dir=cache_dir, max_resident_bytes=max_resident_bytes)
