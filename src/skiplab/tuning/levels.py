"""What a trial is: the options of its axes and the values of its settings."""

from collections.abc import Sequence
from typing import Any

from skiplab.configuration.override_text import override_text
from skiplab.errors import SkiplabError
from skiplab.records.key import OBSERVERS, factors
from skiplab.sweeps.job import Job


def levels(job: Job) -> dict[str, Any]:
    """All options and settings of a trial that affect training, by name."""
    options = {axis: option for axis, option in job.choices.items() if axis not in OBSERVERS}
    return {**factors(job.config), **options}


def levels_of(job: Job, names: Sequence[str]) -> dict[str, Any]:
    """The levels of a trial's factors: the options of axes and the values of settings.

    Raises:
        SkiplabError: a name is neither.
    """
    own = levels(job)
    for name in names:
        if name not in own:
            raise SkiplabError(
                f"{name} can't be a factor, because it doesn't affect training; sweep other axes or settings"
            )
    return {name: own[name] for name in names}


def level_override(level: Any) -> str:
    """A level as Hydra's grammar reads it; a list is JSON text already, which the grammar reads as a list."""
    return level if isinstance(level, str) and level.startswith("[") else override_text(level)
