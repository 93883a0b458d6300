"""A cache of decoded images: arrays in a folder with their metadata, mapped from the file if they are large."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skiplab.data.dataset import Split
from skiplab.errors import SkiplabError
from skiplab.records.foreign_files import parse_json, read_bytes

_BLOCK = 1 << 24


@dataclass(frozen=True)
class Decoding:
    """Images to decode: their number, and batches of bytes (n, channel, height, width) and labels (n,)."""

    count: int
    batches: Iterable[tuple[np.ndarray, np.ndarray]]


class DecodedCache:
    """Stores decoded images in a folder, with one entry for each set of facts that they depend on.

    An entry is written to a temporary folder and renamed, so a reader never sees half of one. A damaged entry is
    decoded again: sizes are always checked, and contents by checksum if they are read into memory.

    Args:
        folder: where entries are stored; created when needed; `~` is the home folder.
        max_resident_bytes: images of more bytes than this are mapped from the file instead of read, from 0.

    Raises:
        SkiplabError: if max_resident_bytes is negative, or an entry can't be written.
    """

    def __init__(self, folder: str, *, max_resident_bytes: int) -> None:
        if max_resident_bytes < 0:
            raise SkiplabError(f"data.max_resident_bytes={max_resident_bytes} is invalid; valid: from 0")
        self.folder = Path(folder).expanduser()
        self.max_resident_bytes = max_resident_bytes

    def split(self, facts: Mapping[str, Any], shape: tuple[int, ...], decode: Callable[[], Decoding]) -> Split:
        """The images of an entry, each of this shape; `decode` is called if there is no valid entry."""
        facts = {**facts, "shape": list(shape)}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        entry = self.folder / f"{facts['option']}-{digest}"
        found = self._read(entry, shape)
        if found is None:
            decoding = decode()
            try:
                self._write(entry, facts, shape, decoding)
            except OSError as error:
                raise SkiplabError(
                    f"data.cache_dir={self.folder} can't be written to ({error}); give a folder with space for "
                    f"{decoding.count * int(np.prod(shape)) / 1e6:.0f} MB"
                ) from error
            found = self._read(entry, shape)
        if found is None:
            raise SkiplabError(
                f"data.cache_dir={self.folder} can't be used: {entry} differs from what was written; give another "
                "folder"
            )
        return found

    def _read(self, entry: Path, shape: tuple[int, ...]) -> Split | None:
        """The entry's images, or None if it is missing or damaged."""
        try:
            note = parse_json(read_bytes(entry / "entry.json"))
            images = np.load(entry / "images.npy", mmap_mode="c", allow_pickle=False)
            labels = np.array(np.load(entry / "labels.npy", mmap_mode="c", allow_pickle=False))  # no more than is there
            sound = labels.shape == (note["count"],) and images.shape == (note["count"], *shape)
            mapped = images.nbytes > self.max_resident_bytes
            if not mapped:
                images = np.array(images)
                sound = sound and checksum(images) == note["images_crc32"]
            sound = sound and checksum(labels) == note["labels_crc32"]
        except (OSError, EOFError, ValueError, OverflowError, KeyError, TypeError):
            return None
        return Split(torch.from_numpy(images), torch.from_numpy(labels), mapped=mapped) if sound else None

    def _write(self, entry: Path, facts: Mapping[str, Any], shape: tuple[int, ...], decoding: Decoding) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=self.folder))
        try:
            images = np.lib.format.open_memmap(
                partial / "images.npy", mode="w+", dtype=np.uint8, shape=(decoding.count, *shape)
            )
            _reserve(partial / "images.npy")
            labels = np.zeros(decoding.count, dtype=np.int64)
            start = 0
            for pixels, classes in decoding.batches:
                images[start : start + len(pixels)] = pixels
                labels[start : start + len(pixels)] = classes
                start += len(pixels)
            images.flush()
            np.save(partial / "labels.npy", labels)
            note = {
                "facts": facts,
                "count": decoding.count,
                "images_crc32": checksum(images),
                "labels_crc32": checksum(labels),
            }
            (partial / "entry.json").write_text(json.dumps(note, indent=1), encoding="utf-8")
            _put_in_place(partial, entry)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def checksum(array: np.ndarray) -> int:
    """CRC-32 of an array's bytes, a block at a time, since a mapped file may not fit into memory."""
    flat = array.reshape(-1).view(np.uint8)
    crc = 0
    for start in range(0, len(flat), _BLOCK):
        crc = zlib.crc32(flat[start : start + _BLOCK].data, crc)
    return crc


def _reserve(file: Path) -> None:
    """Take the space of a new file; without it, a full disk would kill the process that writes to the file's map.

    Raises:
        OSError: if there is too little.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    with file.open("r+b") as handle:
        try:
            os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that can't reserve
                raise


def _put_in_place(partial: Path, entry: Path) -> None:
    """Rename a finished entry; an existing one is damaged, or equal and written by another process."""
    if entry.exists():
        damaged = Path(tempfile.mkdtemp(prefix="partial-", dir=entry.parent))
        os.replace(entry, damaged / entry.name)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        os.replace(partial, entry)
    except OSError:
        if not entry.exists():
            raise
