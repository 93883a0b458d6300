"""Whether a study has numbers to compare."""

from skiplab.analysis.study.arms import status_counts
from skiplab.analysis.study.study import Study
from skiplab.errors import SkiplabError
from skiplab.printable import printable


def check_has_numbers(study: Study, command: str) -> None:
    """Check that a study has numbers, for a command that compares them.

    Raises:
        SkiplabError: if no trial has one.
    """
    if not study.has_numbers:
        raise SkiplabError(
            f"no trial of {printable(study.name)} has a number to compare ({status_counts(study)}); valid for "
            f"{command}: a study with trials that are done; wait for them, or train them"
        )
