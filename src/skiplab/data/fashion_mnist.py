from typing import ClassVar

from skiplab.data.hub_images import HubImages


class FashionMNIST(HubImages):
    """The 70,000 gray images of 28x28 pixels in ten kinds of clothing, x = byte / 127.5 - 1.

    Validation is the test split.

    Source: Xiao et al. 2017, Fashion-MNIST, arXiv:1708.07747, as the hub's zalando-datasets/fashion_mnist.
    Differs from the source: none.

    Shapes: images (sample, 1, 28, 28), labels (sample,) of 0 to 9.

    Args:
        path: name on the hub, or local folder with its parquet files.
        cache_dir: folder for decoded images.
        max_resident_bytes: a split larger than this is mapped from its file instead of read into memory.

    Raises:
        SkiplabError: if the files can't be loaded, or have another layout.
    """

    option: ClassVar[str] = "fashion_mnist"
    home: ClassVar[str] = "zalando-datasets/fashion_mnist"
    num_classes = 10

    def __init__(self, *, path: str, cache_dir: str, max_resident_bytes: int) -> None:
        super().__init__("label", (1, 28, 28), path=path, cache_dir=cache_dir, max_resident_bytes=max_resident_bytes)
