"""Reads the file in which W&B keeps an offline run, `offline-run-*/run-ID.wandb`.

The file is a header of 7 bytes and blocks of 32 KiB with pieces of protobuf records, as LevelDB's log has them. A
killed run leaves a torn end; what stands before it is read.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skiplab.records.foreign_files import MOST_TABLE_BYTES, read_own

_BLOCK, _HEADER, _FILE_HEADER = 2**15, 7, 7
_FULL, _FIRST, _MIDDLE, _LAST = range(1, 5)


def read_records(path: Path, source: Path) -> Iterator[Any]:
    """The records of a file, each a `wandb_internal_pb2.Record`.

    Raises:
        ValueError: it is no file of W&B.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    content = read_own(path, MOST_TABLE_BYTES, within=source)
    if content[:4] != b":W&B":
        raise ValueError("it is no file of W&B")
    for piece in _pieces(content):
        record = getattr(wandb_internal_pb2, "Record")()  # noqa: B009, made when the module is imported
        try:
            record.ParseFromString(piece)
        except DecodeError:  # a torn end
            return
        yield record


def _pieces(content: bytes) -> Iterator[bytes]:
    """The bytes of each record, up to the first that is torn."""
    place, parts = _FILE_HEADER, []
    while place + _HEADER <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:  # the padding of a block
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + _HEADER])
        place += _HEADER
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or place + length > len(content):
            return
        parts = [*([] if kind in (_FULL, _FIRST) else parts), content[place : place + length]]
        place += length
        if kind in (_FULL, _LAST):
            yield b"".join(parts)
            parts = []
