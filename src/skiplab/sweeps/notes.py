"""What a person should know of trials before they are trained."""

from collections.abc import Sequence

from skiplab.sweeps.job import Job
from skiplab.sweeps.loss_weights import weights_note
from skiplab.sweeps.precision import precision_note


def print_notes(jobs: Sequence[Job]) -> None:
    """Print a line for each thing that a person should know."""
    for note in (weights_note(jobs), precision_note(jobs)):
        if note:
            print(note, flush=True)
