"""The runs of a source, whichever tracker wrote them."""

from pathlib import Path
from typing import Any, Literal, get_args

from skiplab.analysis.trackers.folder_runs import folder_runs, folders_of_runs
from skiplab.analysis.trackers.foreign_run import ForeignRun
from skiplab.analysis.trackers.mlflow_runs import mlflow_runs, stores
from skiplab.analysis.trackers.wandb_runs import offline_files, offline_runs, project_runs
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.read_records import Problem

Tracker = Literal["wandb", "mlflow", "files"]
TRACKERS: tuple[Tracker, ...] = get_args(Tracker)
_HOLDS = {"wandb": offline_files, "mlflow": stores, "files": folders_of_runs}
_READERS = {"wandb": offline_runs, "mlflow": mlflow_runs, "files": folder_runs}


def find_runs(
    source: str, tracker: Tracker | None = None, *, api: Any = None, with_history: bool = False
) -> tuple[list[ForeignRun], list[Problem]]:
    """The runs of a source, and what can't be read there.

    Args:
        source: a folder, or ENTITY/PROJECT of Weights & Biases.
        tracker: who wrote the runs of a folder; None: the only one that did. 'files' stands for TensorBoard,
            Lightning's CSVLogger and Hydra.
        api: a wandb.Api; None to make one, which needs an API key.
        with_history: whether the values of each step are needed of a project's runs, which takes long.

    Raises:
        SkiplabError: there are no runs, or those of several trackers.
    """
    folder = Path(source)
    if not folder.is_dir():
        if tracker not in (None, "wandb"):
            raise SkiplabError(
                f"no folder {printable(source)!r}; valid for --tracker {tracker}: a folder with its runs"
            )
        runs, problems = project_runs(source, api, with_history=with_history)
    else:
        present = [name for name in TRACKERS if tracker in (None, name) and _HOLDS[name](folder)]
        if len(present) > 1:
            raise SkiplabError(
                f"{printable(source)} holds runs of {' and '.join(present)}; say which with --tracker {present[0]}, or "
                "give the folder of one of them"
            )
        runs, problems = _READERS[present[0]](folder) if present else ([], [])
    if not runs and not problems:
        raise SkiplabError(
            f"{printable(source)} holds no runs; valid: ENTITY/PROJECT of W&B, or a folder with offline runs of W&B, "
            "event files of TensorBoard, metrics.csv of Lightning or metrics.json in the jobs of Hydra, or a store of "
            "MLflow"
        )
    return runs, problems
