"""The study of a command that compares numbers."""

from pathlib import Path

from skiplab.analysis.study.arms import status_counts
from skiplab.analysis.study.study import Study, read_study
from skiplab.errors import SkiplabError
from skiplab.printable import printable


def read_measured_study(name: str, runs_dir: Path, command: str) -> Study:
    """Read a study for a command that needs numbers.

    Raises:
        SkiplabError: if no trial has a number.
    """
    study = read_study(name, runs_dir)
    if not study.has_numbers:
        raise SkiplabError(
            f"no trial of {printable(study.name)} has a number to compare ({status_counts(study)}); valid for "
            f"{command}: a study with trials that are done; wait for them, or train them"
        )
    return study
