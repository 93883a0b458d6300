from typing import ClassVar

from skiplab.data.hub_images import HubImages


class MNIST(HubImages):
    """The 70,000 gray images of 28x28 pixels of handwritten digits, x = byte / 127.5 - 1; validation is the test split.

    Source: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 86,
        section III.A (from memory), as the hub's ylecun/mnist.
    Differs from the source: none.

    Shapes: images (sample, 1, 28, 28), labels (sample,) of 0 to 9.

    Args:
        path: name on the hub, or local folder with its parquet files.
        cache_dir: folder for decoded images.
        max_resident_bytes: a split larger than this is mapped from its file instead of read into memory.

    Raises:
        SkiplabError: if the files can't be loaded, or have another layout.
    """

    option: ClassVar[str] = "mnist"
    home: ClassVar[str] = "ylecun/mnist"
    num_classes = 10

    def __init__(self, *, path: str, cache_dir: str, max_resident_bytes: int) -> None:
        super().__init__("label", (1, 28, 28), path=path, cache_dir=cache_dir, max_resident_bytes=max_resident_bytes)
