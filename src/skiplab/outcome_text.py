"""What a command says of the one trial that it trained or measured."""

from pathlib import Path
from typing import TYPE_CHECKING

from skiplab.records.record import read_record

if TYPE_CHECKING:
    from skiplab.training.trial import Outcome


def tell(outcome: "Outcome", runs_dir: Path) -> None:
    """Print what became of a trial, its numbers, and where its record lies."""
    print(f"trial {outcome.key}: {outcome.action}, {outcome.status}. {outcome.note}".rstrip())
    folder = runs_dir / outcome.key
    for name, value in read_record(folder)["summary"].items():
        print(f"  {name:28s} {'missing' if value is None else f'{value:.5g}'}")
    print(f"  record in {folder}")
