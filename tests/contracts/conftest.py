"""Each option's configuration, composed once."""

from collections.abc import Callable

import pytest

from skiplab.listed_options import LISTS
from tiny_trials import Composed, compose_config


@pytest.fixture(scope="session")
def flipped() -> Callable[[str, str], Composed]:
    """flipped(axis, option): the default configuration with one axis flipped."""

    def compose_flipped(axis: str, option: str) -> Composed:
        return compose_config(f"{axis}=[{option}]" if axis in LISTS else f"{axis}={option}")

    return compose_flipped


@pytest.fixture(scope="session")
def digits():
    from skiplab.data.digits import Digits

    return Digits(num_val=360, split_seed=0)
