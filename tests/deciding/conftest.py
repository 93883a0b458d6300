"""What the tests of deciding share."""

import pytest

from planted_ladder import Planted


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Planted:
    """Trials that cost nothing and leave a record with a planted skill."""
    return Planted(monkeypatch)
