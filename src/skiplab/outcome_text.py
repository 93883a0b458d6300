"""What a command says of the one trial that it trained or measured."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skiplab.training.trial import Outcome


def tell(outcome: "Outcome", runs_dir: Path) -> None:
    """Print what became of a trial, its numbers, and where its record lies."""
    print(f"trial {outcome.key}: {outcome.action}, {outcome.status}. {outcome.note}".rstrip())
    folder = runs_dir / outcome.key
    for name, value in json.loads((folder / "record.json").read_text(encoding="utf-8"))["summary"].items():
        print(f"  {name:28s} {value:.5g}")
    print(f"  record in {folder}")
