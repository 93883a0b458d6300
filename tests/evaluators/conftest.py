"""What evaluators keep on disk goes to a folder of each test's own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SKIPLAB_CACHE_DIR", str(folder))
    return folder
