"""The command line: `skiplab COMMAND`. What a command needs is imported when it runs."""

import atexit
import gc
import sys
from collections.abc import Sequence

from skiplab.cli.parser import make_parser
from skiplab.cli.streams import allow_any_text
from skiplab.cli.termination import run_command
from skiplab.cli.train import train
from skiplab.sweeps.limits import check_memory_to_read

_OBJECTS_BEFORE_COLLECTION = 100_000
atexit.register(gc.freeze)  # so that they aren't looked through at the end either, when all memory goes back


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `skiplab`."""
    allow_any_text()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["train"]:
        train_main(words[1:])
        return
    # Imports and tables leave many objects that stay; to look for cycles among them takes a fifth of a short command.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    parser = make_parser()
    parsed, others = parser.parse_known_args(words)
    if others and ("overrides" not in parsed or any(word.startswith("-") for word in others)):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if others:  # argparse takes the overrides before an option and leaves those after it
        parsed.overrides += others
    options = vars(parsed)
    command = options.pop("command")

    def run() -> None:
        check_memory_to_read()
        command(**options)

    run_command(run, words)


def train_main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `skiplab-train`, the plain Hydra application; `skiplab train` calls it too."""
    allow_any_text()
    words = list(sys.argv[1:] if arguments is None else arguments)
    run_command(lambda: train(words), words)
