"""What the tests of tuning share."""

import shutil
from pathlib import Path

import pytest

from planted_tuning import launch, plant, tune


@pytest.fixture
def planted(monkeypatch) -> list[str]:
    """Trials that cost nothing and leave a record with the planted skill; returns the keys that were trained."""
    return plant(monkeypatch)


@pytest.fixture
def launched(monkeypatch) -> None:
    """Hydra's launcher composes each trial again from its overrides, as in earnest; slower."""
    launch(monkeypatch)


@pytest.fixture(scope="module")
def tuned_once(tmp_path_factory) -> Path:
    """The runs folder of one search."""
    runs_dir = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        tune(runs_dir)
    return runs_dir


@pytest.fixture
def searched(tuned_once, planted, tmp_path) -> Path:
    """A copy of its own of that folder; what is trained in it afterwards stands in `planted`."""
    return shutil.copytree(tuned_once, tmp_path / "runs")
