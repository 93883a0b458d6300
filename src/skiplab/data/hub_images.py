"""The base class of image data on the Hugging Face hub: finds the files, and decodes them once."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Int64, UInt8
from PIL import Image

from skiplab.data.dataset import Dataset, Split
from skiplab.data.decoded_cache import DecodedCache, Decoding
from skiplab.data.pixels import to_pixels
from skiplab.errors import SkiplabError
from skiplab.records.fingerprint import file_hashes

_BATCH = 256  # images decoded at once
_TIMEOUT_SECONDS = 10
_SHARD = re.compile(r"-(\d+)-of-(\d+)(-\w+)?\.parquet$")  # older ones end in a hash


class HubImages(Dataset):
    """Labelled images of the hub, or of a local folder that holds the same parquet files, at any depth.

    A split's files are named SPLIT-*.parquet or lie in a folder SPLIT, and all lie in one folder. Images are decoded
    once, to bytes below cache_dir, and then loaded from there: the hub isn't asked again, and a local folder is decoded
    again only if a file's name or content has changed (see `file_hashes`).

    option: the name on the axis.
    home: the name on the hub.
    splits: the published names of the training and the validation split.
    image_column: holds the images.
    exact_size: whether an image of another size is refused instead of cropped and resized.

    Args:
        path: name on the hub, or local folder.
        cache_dir: folder for decoded images.
        max_resident_bytes: a split larger than this is mapped from its file instead of read into memory.
        label_column: holds the labels (runtime).
        shape: of an image, (channel, size, size) (runtime).

    Raises:
        SkiplabError: if the files can't be loaded, or have another layout.
    """

    option: ClassVar[str]
    home: ClassVar[str]
    splits: ClassVar[tuple[str, str]] = ("train", "test")
    image_column: ClassVar[str] = "image"
    exact_size: ClassVar[bool] = True

    def __init__(
        self, label_column: str, shape: tuple[int, int, int], *, path: str, cache_dir: str, max_resident_bytes: int
    ) -> None:
        self.path, self.shape, self.label_column = path, shape, label_column
        self._folder = Path(path).expanduser()
        self._cache = DecodedCache(cache_dir, max_resident_bytes=max_resident_bytes)
        self.train, self.val = (self._split(name) for name in self.splits)

    def _split(self, name: str) -> Split:
        facts: dict[str, Any] = {"option": self.option, "split": name, "label": self.label_column}
        if self._folder.is_file():
            raise self._missing("it is a file, and not the folder of the files")
        if not self._folder.is_dir():
            facts |= {"path": self.path}
            return self._cache.split(facts, self.shape, lambda: self._decoding(self._from_hub(name), name))
        hashes = file_hashes(self._folder)
        places = {relative: self._folder / relative for relative in hashes if relative.endswith(".parquet")}
        files = {
            relative: file
            for relative, file in places.items()
            if file.name.startswith(f"{name}-") or file.parent.name == name
        }
        if not files:
            raise self._missing(f"it has no {name}-*.parquet and no {name}/*.parquet")
        self._check_one_set(files.values(), name)
        facts |= {"files": [[relative, hashes[relative]] for relative in files]}
        return self._cache.split(
            facts, self.shape, lambda: self._decoding(self._from_files(list(files.values())), name)
        )

    def _check_one_set(self, files: Collection[Path], name: str) -> None:
        """Refuse files of several data sets, and a part of the files of one, as their names tell."""
        folders = sorted({str(file.parent) for file in files})
        if len(folders) > 1:
            raise self._missing(f"its files of {name} lie in {folders[0]} and in {folders[1]}; give one of them")
        shards = [found for file in files if (found := _SHARD.search(file.name))]
        there = {int(found[1]) for found in shards}
        for total in {int(found[2]) for found in shards}:
            if lacking := sorted(set(range(total)) - there):
                raise self._missing(
                    f"of the {total} files of {name} it lacks {len(lacking)}, the first {lacking[0]:05}-of-{total:05}"
                )

    def _from_files(self, files: list[Path]) -> tuple[Any, int]:
        """The rows of parquet files, read as they are asked for, and how many there are."""
        import datasets  # takes most of a second to import, which no other option should pay

        try:
            count = sum(pq.ParquetFile(file).metadata.num_rows for file in files)
            rows = datasets.load_dataset(
                "parquet", data_files=[str(file) for file in files], split="train", streaming=True
            )
        except Exception as error:
            raise self._missing(f"its parquet files can't be read ({error})") from error
        return rows, count

    def _from_hub(self, name: str) -> tuple[Any, int]:
        """The rows of a split of the hub, downloaded to the hub's own cache, and how many there are."""
        import datasets
        import huggingface_hub

        try:
            if not huggingface_hub.constants.HF_HUB_OFFLINE:  # load_dataset would retry for half a minute
                huggingface_hub.HfApi().dataset_info(self.path, timeout=_TIMEOUT_SECONDS)
            shown = not datasets.are_progress_bars_disabled()
            datasets.disable_progress_bars()
            try:
                rows = datasets.load_dataset(self.path, split=name)
            finally:
                if shown:
                    datasets.enable_progress_bars()
        except Exception as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise self._missing(
                f"there is no such folder, and the hub gave {type(error).__name__}: {reason}"
            ) from error
        return rows, len(rows)

    def _decoding(self, source: tuple[Any, int], name: str) -> Decoding:
        import datasets

        rows, count = source
        columns = (self.image_column, self.label_column)
        if missing := [column for column in columns if column not in rows.column_names]:
            raise self._wrong(f"has no column {', '.join(missing)} in {name}; it has {', '.join(rows.column_names)}")
        rows = rows.select_columns(list(columns)).cast_column(self.image_column, datasets.Image())
        return Decoding(count, self._batches(rows, name))

    def _batches(self, rows: Any, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        try:
            for batch in rows.iter(batch_size=_BATCH):
                yield self._decoded(batch[self.image_column], name), self._checked(batch[self.label_column], name)
        except SkiplabError:
            raise
        except Exception as error:  # Pillow raises many kinds of errors for broken images
            raise self._wrong(f"has an image in {name} that can't be read ({error})") from error

    def _decoded(self, pictures: list[Image.Image], name: str) -> UInt8[np.ndarray, "image channel size size"]:
        size = self.shape[1:]
        if self.exact_size and (others := sorted({picture.size for picture in pictures} - {size})):
            raise self._wrong(f"has images of {others[0]} pixels in {name}, not {size}")
        return np.stack([to_pixels(picture, self.shape) for picture in pictures])

    def _checked(self, labels: list[int], name: str) -> Int64[np.ndarray, " image"]:
        whole = np.asarray(labels, dtype=np.int64)
        if whole.min() < 0 or whole.max() >= self.num_classes:
            raise self._wrong(f"has labels {whole.min()} to {whole.max()} in {name}, not 0 to {self.num_classes - 1}")
        return whole

    def _missing(self, reason: str) -> SkiplabError:
        return SkiplabError(
            f"data.path={self.path} can't be loaded: {reason}; download the parquet files from "
            f"https://huggingface.co/datasets/{self.home}/tree/main and give their folder, data={self.option} "
            "data.path=FOLDER; HF_HUB_OFFLINE=1 uses the hub's local cache"
        )

    def _wrong(self, what: str) -> SkiplabError:
        return SkiplabError(f"data.path={self.path} {what}; data={self.option} reads the layout of {self.home}")
