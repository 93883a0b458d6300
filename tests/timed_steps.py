"""Steps that are timed to say how long a sweep will take: one, for no test looks at how long it takes."""

import pytest


def time_one_step(patched: pytest.MonkeyPatch) -> None:
    patched.setattr("skiplab.sweeps.speed._SECONDS", 0.0)
