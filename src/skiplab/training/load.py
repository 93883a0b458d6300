"""Loads the trained network of a record, with its data and objective."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from skiplab.backbones.backbone import Backbone
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.objectives.objective import Objective
from skiplab.records.file_names import CONFIG, RECORD, WEIGHTS
from skiplab.records.finished_files import without_hash
from skiplab.records.local_paths import find_again
from skiplab.records.record import read_record
from skiplab.records.record_schema import Costs, RecordContent
from skiplab.training.build import build_data, build_model, build_objective
from skiplab.training.trust import record_config
from skiplab.training.weights import load_weights, no_larger_than


class LoadedTrial(NamedTuple):
    """A trained network in evaluation mode, with its data, its objective and what it costs (see `parity`)."""

    data: Dataset
    objective: Objective
    model: Backbone
    costs: Costs


def load(folder: str | Path, *, data_path: str | Path | None = None, trust: bool = False) -> LoadedTrial:
    """Load the trained network of a record, such as `runs/0123456789abcdef`, with its data and objective.

    Args:
        folder: the record's folder.
        data_path: the current place of the data's files; None if they haven't moved.
        trust: whether code that isn't an option of skiplab may be imported and run, such as a network of your own.

    Raises:
        SkiplabError: if the folder holds no record with weights, the record needs code that isn't trusted, or the
            files of its data are missing or have changed.
    """
    folder = Path(folder)
    for name in (CONFIG, RECORD, WEIGHTS):
        if not (folder / name).exists():
            raise SkiplabError(f"{folder} has no {name}; give the folder of a finished trial, runs/KEY")
    content = read_record(folder)
    tell_unhashed(folder, content)
    config = record_config(folder, content, trust=trust)
    find_again(config, content["factors"], {} if data_path is None else {"data.path": str(data_path)}, folder)
    with explained(folder):
        data = build_data(config)
        objective = build_objective(config, data)
        with no_larger_than(None if trust else folder / WEIGHTS):
            model = build_model(config, data, objective)
    load_weights(model, folder / WEIGHTS, content)
    return LoadedTrial(data, objective, model.eval(), content["parity"])


def tell_unhashed(folder: Path, content: RecordContent) -> None:
    """Say on standard error which files of a record have no hash in it."""
    if names := without_hash(content):
        print(
            f"skiplab: {folder} has no hash on record of {', '.join(names)}, so a change of them goes unnoticed",
            file=sys.stderr,
        )


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Name the record whose configuration can't be built.

    Raises:
        SkiplabError: if the block raises any exception; a SkiplabError is raised as it is.
    """
    try:
        yield
    except SkiplabError:
        raise
    except Exception as error:  # of any type: the configuration may hold anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SkiplabError(f"{folder / CONFIG} can't be built: {reason}") from error
