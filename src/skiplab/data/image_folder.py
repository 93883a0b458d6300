import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from skiplab.data.dataset import Dataset, Split
from skiplab.data.decoded_cache import DecodedCache, Decoding
from skiplab.data.pixels import to_pixels
from skiplab.errors import SkiplabError
from skiplab.records.fingerprint import file_hashes

_ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_UNREAD = (".avif", ".heic", ".heif", ".jp2", ".jxl", ".tga")  # images that not every Pillow reads
_BATCH = 256  # images decoded at once
_MOST_VAL = 256  # validation images if data.num_val is null
_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")  # no names of classes


class ImageFolder(Dataset):
    """Image files of a folder: the largest central square, resized (bicubic), x = byte / 127.5 - 1.

    Where the folder has subfolders, each is a class, in the order of their names, with all images at any depth
    below it; otherwise all images are of one class. Split at random once. Of an animation, the first picture is used.
    Files and folders whose names begin with a dot are ignored.

    Source: none.
    Differs from the source: none.

    Shapes: images (sample, channels, size, size), labels (sample,); `class_names` are the names of the subfolders.

    Args:
        path: the folder.
        size: side of an image in pixels, from 1.
        channels: 1 (gray) or 3 (RGB).
        num_val: validation images, from 1 to one less than there are; null for a fifth, 256 at most.
        split_seed: seed of the split; the same for every trial of a study.
        cache_dir: folder for decoded images.
        max_resident_bytes: if all images together are larger than this, they are mapped from their file.

    Raises:
        SkiplabError: if an argument is out of range, there are no images, or one can't be read.
    """

    def __init__(
        self,
        *,
        path: str,
        size: int,
        channels: int,
        num_val: int | None,
        split_seed: int,
        cache_dir: str,
        max_resident_bytes: int,
    ) -> None:
        if size < 1 or channels not in (1, 3):
            raise SkiplabError(
                f"data.size={size}, data.channels={channels} is invalid; valid: size from 1, channels 1 or 3"
            )
        folder = Path(path).expanduser()
        self.class_names, names, labels = _listed(folder)
        self.num_classes = len(self.class_names)
        if num_val is None:
            num_val = min(max(len(names) // 5, 1), _MOST_VAL)
            self.derived = {"num_val": num_val}
        if len(names) < 2:
            raise SkiplabError(f"data.path={folder} has one image; valid: two or more, of which one validates")
        if not 1 <= num_val < len(names):
            raise SkiplabError(
                f"data.num_val={num_val} is invalid; valid: 1 to {len(names) - 1}, the images of data.path less one"
            )
        # shuffled before they are decoded: each split is then a stretch of one file that can be mapped
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(split_seed)).tolist()
        names, labels = [names[index] for index in order], [labels[index] for index in order]
        files, hashes = [folder / name for name in names], file_hashes(folder)
        facts = {"option": "image_folder", "files": [[name, hashes[name]] for name in names]}
        shape = (channels, size, size)
        cache = DecodedCache(cache_dir, max_resident_bytes=max_resident_bytes)
        whole = cache.split(facts, shape, lambda: Decoding(len(files), _batches(files, labels, shape)))
        self.val, self.train = (
            Split(whole.stored[part], whole.labels[part], mapped=whole.mapped)
            for part in (slice(num_val), slice(num_val, None))
        )


def _listed(folder: Path) -> tuple[tuple[str, ...], list[str], list[int]]:
    """The classes, the names of the image files and the class of each."""
    if not folder.is_dir():
        raise SkiplabError(
            f"data.path={folder} is not a folder; give one with images, or with a subfolder of images for each class"
        )
    every = file_hashes(folder)
    images = {name: digest for name, digest in every.items() if name.lower().endswith(_ENDINGS)}
    unread = {name.partition("/")[0]: name for name in every if "/" in name and name.lower().endswith(_UNREAD)}
    if broken := next((name for name, digest in images.items() if not digest), None):
        raise SkiplabError(f"data.path: {folder / broken} is a link to a missing file; repair or remove it")
    loose = [name for name in images if "/" not in name]
    within: dict[str, list[str]] = {}
    for name in images:
        if "/" in name:
            within.setdefault(name.partition("/")[0], []).append(name)
    if loose and within:
        raise SkiplabError(
            f"data.path={folder} has images both in the folder itself ({loose[0]}) and in subfolders "
            f"({next(iter(within))}/), so their classes are unclear; move them into subfolders"
        )
    if within and (without := unread.keys() - within.keys()):
        raise SkiplabError(
            f"data.path={folder}: {unread[min(without)]} isn't read, and {min(without)}/ would be no class; valid "
            f"endings: {' '.join(_ENDINGS)}; convert its images, or move it away"
        )
    if within and all(name.casefold() in _SPLITS for name in within):
        raise SkiplabError(
            f"data.path={folder} has the subfolders {', '.join(within)}, which would be classes; give one of them, "
            f"such as data.path={folder / next(iter(within))}; data.num_val of its images validate"
        )
    classes = within or {folder.name: loose}
    names = [name for found in classes.values() for name in found]
    if not names:
        raise SkiplabError(f"data.path={folder} has no images; valid endings: {' '.join(_ENDINGS)}")
    labels = [label for label, found in enumerate(classes.values()) for _ in found]
    return tuple(classes), names, labels


def _batches(
    files: list[Path], labels: list[int], shape: tuple[int, int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(files), _BATCH):
        part = slice(start, start + _BATCH)
        yield np.stack([_read(file, shape) for file in files[part]]), np.asarray(labels[part])


def _read(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # else refused at twice that size alone
            with Image.open(file) as picture:
                return to_pixels(picture, shape)
    except Exception as error:  # Pillow raises many kinds of errors for broken images
        reason = str(error).rstrip(".")
        raise SkiplabError(f"data.path: {file} can't be read as an image ({reason}); repair or remove it") from error
