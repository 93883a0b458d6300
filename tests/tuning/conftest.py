"""What the tests of tuning share."""

import pytest

from planted_tuning import launch, plant


@pytest.fixture
def planted(monkeypatch) -> list[str]:
    """Trials that cost nothing and leave a record with the planted skill; returns the keys that were trained."""
    return plant(monkeypatch)


@pytest.fixture
def launched(monkeypatch) -> None:
    """Hydra's launcher composes each trial again from its overrides, as in earnest; slower."""
    launch(monkeypatch)
