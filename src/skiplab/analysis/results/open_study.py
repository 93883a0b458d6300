"""The study that a command is given: the name of one that skiplab trained, or a file of results."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from skiplab.analysis.results.columns import parse_metric
from skiplab.analysis.results.from_frame import from_frame
from skiplab.analysis.results.result_files import is_results_file, read_results
from skiplab.analysis.study.study import Study, read_study
from skiplab.errors import SkiplabError
from skiplab.printable import printable


class FileColumns(NamedTuple):
    """What a command line says of a file of results; see `from_frame`. None and empty: nothing is said.

    by: the columns of the factors.
    unpaired: rows are runs without a seed.
    history, layers: files.
    """

    arm: str | None = None
    seed: str | None = None
    by: Sequence[str] = ()
    pair_by: str | None = None
    unpaired: bool = False
    status: str | None = None
    history: Path | None = None
    layers: Path | None = None


NO_COLUMNS = FileColumns()


def open_study(
    name: str, runs_dir: Path, columns: FileColumns = NO_COLUMNS, metrics: Sequence[str] | None = None
) -> tuple[Study, Sequence[str] | None]:
    """The study of this name, or of this file, and the metrics that were asked for by their names in it.

    Args:
        name: a study in runs_dir, several as 'A,B', or the path of a file of results.
        runs_dir: the folder of records.
        columns: what the columns of the file say.
        metrics: names of metrics; of a file's `COLUMN:DIRECTION`.

    Raises:
        SkiplabError: there is no such study, or the file can't be read as one.
    """
    if not is_results_file(name):
        if given := [option for option, value in columns._asdict().items() if value]:
            raise SkiplabError(
                f"--{given[0].replace('_', '-')} names columns of a file of results, and {printable(name)!r} is the "
                "name of a study; give a file such as results.csv, or leave it out"
            )
        return read_study(name, runs_dir), metrics
    path = Path(name)
    frame = read_results(path)
    if not metrics:
        numeric = printable(", ".join(map(str, frame.select_dtypes("number").columns))) or "none"
        raise SkiplabError(
            f"--metric is needed with a file, such as --metric val_loss:lower; columns of numbers: {numeric}"
        )
    if columns.unpaired and (columns.seed or columns.pair_by):
        raise SkiplabError("--unpaired goes with neither --seed nor --pair-by, which make pairs; give one of them")
    seed = None if columns.unpaired or (columns.pair_by and not columns.seed) else columns.seed or "seed"
    study = from_frame(
        frame,
        metrics=dict(map(parse_metric, metrics)),
        arm=columns.arm or "arm",
        seed=seed,
        factors=columns.by,
        pair_by=columns.pair_by,
        status=columns.status,
        history=read_results(columns.history) if columns.history else None,
        layers=read_results(columns.layers) if columns.layers else None,
        name=path.stem,
        folder=path.with_name(f"{path.stem}-skiplab"),
    )
    return study, list(study.metrics)
