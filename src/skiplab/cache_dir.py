"""The folder for downloaded and computed files: SKIPLAB_CACHE_DIR, or else ~/.cache/skiplab."""

import os
from pathlib import Path


def cache_dir() -> Path:
    return Path(os.environ.get("SKIPLAB_CACHE_DIR") or "~/.cache/skiplab").expanduser()
