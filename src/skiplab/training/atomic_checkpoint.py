"""Checkpoints that are written completely or not at all."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from skiplab.records.atomic_file import write_atomically


class AtomicCheckpoint(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in the same folder and renames it.

    Lightning's own writer moves a file from the system's temporary folder, which copies it if that is on another file
    system; and torch hides the system's error when the disk is full.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        Path(path).parent.mkdir(exist_ok=True)  # never a record that was deleted
        write_atomically(Path(path), buffer.getvalue())
