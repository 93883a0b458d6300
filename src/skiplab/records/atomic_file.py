"""Files that are there whole or as they were before, even if the writer is killed or the disk is full."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside a file, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
