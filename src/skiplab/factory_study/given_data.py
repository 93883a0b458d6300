"""Data that `skiplab.study` is given as objects: kept beside the records as a file, which other processes can read."""

import hashlib
import io
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
from PIL import Image
from torch import Tensor
from torch.utils import data as torch_data

from skiplab.data.arrays import checked
from skiplab.data.pixels import to_pixels
from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.records.writable import explain_unwritable

_FOLDER = "data"
_VALIDATION = ("val", "validation", "test")  # names of the other split, the first that is there
_READ_TWICE = 8  # items, by which random data are found out
_VALID = (
    "an option of the axis data such as 'digits'; images, or (images, labels), as arrays or tensors; a Hugging Face "
    "dataset; a torch Dataset; a LightningDataModule; or {'train': ..., 'val': ...} of these"
)
_Arrays = dict[str, np.ndarray]


class HubTable(Protocol):
    """A dataset of Hugging Face's `datasets`."""

    features: Any
    column_names: list[str]

    def __getitem__(self, index: int) -> Any: ...
    def __len__(self) -> int: ...


_Split = np.ndarray | Tensor | tuple[Any, Any] | HubTable | torch_data.Dataset
Data = _Split | Mapping[str, _Split] | pl.LightningDataModule


def keep_data(data: Data, runs_dir: Path) -> Path:
    """Write the data to RUNS_DIR/data, in a file that is named by what it holds; returns its path.

    Raises:
        SkiplabError: the data are of another kind, or hold what the option `arrays` refuses.
    """
    found = checked(_arrays(data))
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name} {found[name].shape} {found[name].dtype}".encode())
        digest.update(found[name].tobytes())
    path = runs_dir / _FOLDER / f"{digest.hexdigest()[:16]}.npz"
    if not path.exists():
        buffer = io.BytesIO()
        np.savez(buffer, **found)  # pyright: ignore[reportArgumentType]
        with explain_unwritable(runs_dir):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, buffer.getvalue())
    return path.absolute()


def _arrays(data: Any) -> _Arrays:
    """The arrays by the names that they have in the file."""
    if isinstance(data, pl.LightningDataModule):
        data.prepare_data()
        data.setup("fit")
        return _named({"train": _behind(data.train_dataloader()), "val": _behind(data.val_dataloader())})
    return _named(data) if isinstance(data, Mapping) else _of_split(data)


def _named(splits: Mapping[Any, Any]) -> _Arrays:
    other = next((name for name in _VALIDATION if name in splits), None)
    if "train" not in splits:
        raise SkiplabError(f"data has the splits {', '.join(map(str, splits)) or 'none'}; valid: train, and val")
    if other is None:
        return _of_split(splits["train"])
    found = {"train": _of_split(splits["train"]), "val": _of_split(splits[other])}
    return {f"{part}_{name}": array for part, own in found.items() for name, array in own.items()}


def _of_split(data: Any) -> _Arrays:
    if isinstance(data, tuple) and len(data) == 2:
        return {"images": _array(data[0]), "labels": _array(data[1])}
    if isinstance(data, np.ndarray | Tensor):
        return {"images": _array(data)}
    if _is_hub_table(data):
        return _of_hub_table(data)
    if isinstance(data, torch_data.Dataset):
        return _of_items(data)
    if isinstance(data, type):
        raise SkiplabError(f"data is the class {data.__name__}; give an object of it, {data.__name__}(...)")
    raise SkiplabError(f"data is a {type(data).__module__}.{type(data).__name__}; valid: {_VALID}")


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _is_hub_table(data: Any) -> bool:
    """Whether it is a Hugging Face dataset; their package takes most of a second to import."""
    hub = sys.modules.get("datasets")
    return hub is not None and isinstance(data, hub.Dataset | hub.IterableDataset)


def _of_hub_table(table: Any) -> _Arrays:
    import datasets

    if isinstance(table, datasets.IterableDataset):
        raise SkiplabError("data is a streamed dataset, which has no length; valid: one loaded without streaming=True")
    kinds = table.features
    pictures = [name for name, kind in kinds.items() if isinstance(kind, datasets.Image)]
    if len(pictures) != 1:
        raise SkiplabError(
            f"data has {len(pictures)} columns of images among {', '.join(kinds)}; valid: one; keep it and the labels "
            "by select_columns, or make one by cast_column(NAME, datasets.Image())"
        )
    classes = [name for name, kind in kinds.items() if isinstance(kind, datasets.ClassLabel)]
    labels = [name for name in ("label", "labels") if name in kinds] or classes
    if len(labels) > 1:
        raise SkiplabError(f"data has the labels {', '.join(labels)}; valid: one column; remove_columns takes others")
    found = {"images": _stacked([row[pictures[0]] for row in table.select_columns(pictures)])}
    return found | ({"labels": np.asarray(table[labels[0]])} if labels else {})


def _behind(loader: Any) -> Any:
    """The data set of a loader, whose order doesn't matter here."""
    if isinstance(loader, torch_data.DataLoader):
        return loader.dataset
    raise SkiplabError(
        f"the LightningDataModule gives a {type(loader).__name__}; valid: one torch.utils.data.DataLoader for training "
        "and one for validation"
    )


def _of_items(data: Any) -> _Arrays:
    """The items of a torch data set: images, pairs of an image and a label, or mappings with the two."""
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise SkiplabError(f"data is a {type(data).__name__}, which has no length or no items; valid: one with both")
    items = [_item(data[index]) for index in range(len(data))]
    again = [_item(data[index]) for index in range(min(len(data), _READ_TWICE))]
    if any(not np.array_equal(one[0], other[0]) for one, other in zip(items, again, strict=False)):
        raise SkiplabError(
            "data gives another image each time it is asked for the same one; give it without random changes, and "
            "choose settings={'augmentation': ...} for those of a trial"
        )
    images = np.stack(_alike([image for image, _ in items]))
    labels = [label for _, label in items if label is not None]
    return {"images": images} | ({"labels": np.asarray(labels)} if labels else {})


def _item(item: Any) -> tuple[np.ndarray, Any]:
    image, label = item, None
    if isinstance(item, Mapping):
        image = item.get("image", item.get("images"))
        label = item.get("label", item.get("labels"))
    elif isinstance(item, tuple | list):
        image, label = (*item, None)[:2]
    if isinstance(image, Image.Image):
        image = _pixels(image)
    if not isinstance(image, np.ndarray | Tensor):
        raise SkiplabError(f"an item of data is a {type(item).__name__}; valid: an image, or an image and its label")
    try:
        return _array(image), None if label is None else int(label)
    except (TypeError, ValueError):
        raise SkiplabError(f"an item of data has the label {label!r:.60}; valid: a whole number from 0") from None


def _stacked(pictures: Iterable[Image.Image]) -> np.ndarray:
    return np.stack(_alike([_pixels(picture) for picture in pictures]))


def _pixels(picture: Image.Image) -> np.ndarray:
    """A picture as bytes; what isn't gray has three channels."""
    if picture.width != picture.height:
        raise SkiplabError(f"data has a picture of {picture.width} x {picture.height} pixels; valid: square ones")
    is_gray = picture.mode in ("1", "L", "F", "I") or picture.mode.startswith("I;16")
    return to_pixels(picture, (1 if is_gray else 3, picture.width, picture.height))


def _alike(images: list[np.ndarray]) -> list[np.ndarray]:
    if not images:
        raise SkiplabError("data has no images; valid: at least one for training and one for validation")
    other = next((image for image in images if image.shape != images[0].shape), None)
    if other is not None:
        raise SkiplabError(f"data has images of the shapes {images[0].shape} and {other.shape}; valid: one shape")
    return images
