"""Each option's configuration, composed once."""

from collections.abc import Callable

import pytest

from tiny_trials import Composed, compose_config

# Axes of which a trial takes several options at once, each under its own name.
MULTI_SELECT = ("instrument", "evaluator")


@pytest.fixture(scope="session")
def flipped() -> Callable[[str, str], Composed]:
    """flipped(axis, option): the default configuration with one axis flipped."""

    def compose_flipped(axis: str, option: str) -> Composed:
        return compose_config(f"{axis}=[{option}]" if axis in MULTI_SELECT else f"{axis}={option}")

    return compose_flipped


@pytest.fixture(scope="session")
def digits():
    from skiplab.data.digits import Digits

    return Digits(num_val=360, split_seed=0)
