from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError

_PARTS = ("train", "val")
_NAMES = ("images", "labels", *(f"{part}_{name}" for part in _PARTS for name in ("images", "labels")))
_CHANNELS = (1, 3)  # by which channels are told from rows and columns
_OTHER_CHANNELS = (2, 4)  # such as gray or RGB with transparency
_MOST_VAL = 256  # validation images if data.num_val is null


class Arrays(Dataset):
    """Images of a file of NumPy's, .npz: `images` and `labels`, or `train_images`, `val_images` and their labels.

    Images are bytes of 0 to 255, x = byte / 127.5 - 1, or floating point in [-1, 1]; points of the plane may have any
    finite values. Without labels, all are of one class. Where the file has no validation images, it is split at random
    once. Each split is shuffled once, since the first of its images stand for all in an evaluation batch.
    `skiplab.study` writes such a file of the arrays, tensors or data sets that it is given.

    Source: none.
    Differs from the source: none.

    Shapes: images (sample, channel, height, width), (sample, height, width, channel) with 1 or 3 channels, (sample,
        height, width) or, of points, (sample, channel); labels (sample,), whole numbers from 0.

    Args:
        path: the file.
        num_val: validation images, from 1 to one less than there are; null for a fifth, 256 at most; null where the
            file has its own.
        split_seed: seed of the split and of the order within it; the same for every trial of a study.

    Raises:
        SkiplabError: if the file can't be read, or holds anything else.
    """

    def __init__(self, *, path: str, num_val: int | None, split_seed: int) -> None:
        found = checked(_read(Path(path).expanduser()))
        if "train_images" in found:
            if num_val is not None:
                raise SkiplabError(f"data.num_val={num_val} with data.path={path}, which has val_images; valid: null")
            self.train, self.val = (
                _shuffled(found[f"{part}_images"], found[f"{part}_labels"], split_seed) for part in _PARTS
            )
        else:
            total = len(found["images"])
            if num_val is None:
                num_val = min(max(total // 5, 1), _MOST_VAL)
                self.derived = {"num_val": num_val}
            if total < 2:
                raise SkiplabError(f"data.path={path} has one image; valid: two or more, of which one validates")
            if not 1 <= num_val < total:
                raise SkiplabError(
                    f"data.num_val={num_val} is invalid; valid: 1 to {total - 1}, the images of data.path less one"
                )
            order = torch.randperm(total, generator=torch.Generator().manual_seed(split_seed)).numpy()
            self.val, self.train = (
                _split(found["images"][part], found["labels"][part]) for part in (order[:num_val], order[num_val:])
            )
        self.num_classes = 1 + max(int(split.labels.max()) for split in (self.train, self.val))


def checked(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with channels first, in single precision or bytes, and a label for each image.

    Raises:
        SkiplabError: names the array that is wrong, what it is and what is valid.
    """
    if unknown := [name for name in given if name not in _NAMES]:
        raise SkiplabError(f"the data have an array {unknown[0]!r}; valid: {', '.join(_NAMES)}")
    prefixes = ("train_", "val_") if "images" not in given else ("",)
    if lacking := [f"{prefix}images" for prefix in prefixes if f"{prefix}images" not in given]:
        raise SkiplabError(f"the data lack {lacking[0]}; valid: images, or train_images and val_images")
    if foreign := [name for name in given if not any(name in (f"{p}images", f"{p}labels") for p in prefixes)]:
        raise SkiplabError(f"the data have images and {foreign[0]}; valid: images, or train_images and val_images")
    found = {}
    for prefix in prefixes:
        images = _images(np.asarray(given[f"{prefix}images"]), f"{prefix}images")
        labels = given.get(f"{prefix}labels", np.zeros(len(images), np.int64))
        found[f"{prefix}images"] = images
        found[f"{prefix}labels"] = _labels(np.asarray(labels), len(images), f"{prefix}labels")
    kinds = {(each.shape[1:], each.dtype) for name, each in found.items() if name.endswith("images")}
    if len(kinds) > 1:
        shown = " and ".join(f"{shape} of {dtype}" for shape, dtype in sorted(kinds, key=str))
        raise SkiplabError(f"train_images and val_images are {shown}; valid: the same for both")
    return found


def _images(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim not in (2, 3, 4) or not array.size:
        raise SkiplabError(
            f"{name} has the shape {array.shape}; valid: (sample, channel, height, width), (sample, height, width), or "
            "points of (sample, channel), at least one"
        )
    if array.ndim == 4 and array.shape[1] == array.shape[2] > array.shape[3] in _OTHER_CHANNELS:
        raise SkiplabError(
            f"{name} has the shape {array.shape}, which reads as images of {array.shape[3]} channels that come last; "
            "valid there: 1 (gray) or 3 (RGB); other numbers of channels come second"
        )
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[1] not in _CHANNELS and array.shape[-1] in _CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise SkiplabError(
            f"{name} holds {array.dtype}; valid: bytes (uint8) of 0 to 255, or floating point of -1 to 1"
        )
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise SkiplabError(f"{name} has values that are not finite; valid: numbers of -1 to 1")
    if array.ndim > 2 and not -1 <= low <= high <= 1:
        raise SkiplabError(
            f"{name} ranges from {low:g} to {high:g}; valid: floating point of -1 to 1, or bytes (uint8) of 0 to 255"
        )
    if array.ndim > 2 and low >= 0:
        raise SkiplabError(
            f"{name} ranges from {low:g} to {high:g}, so black may be 0 or -1; valid: floating point of -1 (black) to "
            "1, such as 2 * images - 1, or bytes (uint8) of 0 to 255"
        )
    return np.ascontiguousarray(array, np.float32)


def _labels(array: np.ndarray, count: int, name: str) -> np.ndarray:
    if array.shape != (count,) or array.dtype.kind not in "bui" or array.min() < 0:
        raise SkiplabError(
            f"{name} is an array {array.shape} of {array.dtype}; valid: a whole number from 0 for each of the {count} "
            "images"
        )
    return array.astype(np.int64)


def _shuffled(images: np.ndarray, labels: np.ndarray, seed: int) -> Split:
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).numpy()
    return _split(images[order], labels[order])


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise SkiplabError(f"data.path={path} is not there; give a file that numpy.savez wrote") from None
    except Exception as error:  # NumPy raises many kinds of errors for files that aren't its own
        reason = str(error).splitlines()[0]
        raise SkiplabError(
            f"data.path={path} can't be read as arrays ({reason}); give a file that numpy.savez wrote"
        ) from error
