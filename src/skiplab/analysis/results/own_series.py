"""Values during training and readings of layers that someone measured, beside a table of their results."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from skiplab.analysis.figures.chart_values import step_windows
from skiplab.analysis.frames import column
from skiplab.analysis.results.columns import Columns
from skiplab.analysis.results.converted import numbers
from skiplab.analysis.results.results_study import Series
from skiplab.analysis.results.rows import rows_text
from skiplab.analysis.text import level_text
from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.file_names import HISTORY, LAYERS, MEASUREMENTS
from skiplab.records.table_file import empty_table

_LOSS = "loss"  # which has a figure of its own
_CAPTION = "Mean over seeds."
_LARGEST_STEP = 2**53


class OwnSeries(NamedTuple):
    """The frames of a study, and the charts that draw them with who measured each."""

    frames: Series
    charts: Mapping[str, Chart]
    measured_by: Mapping[str, str]


NO_SERIES = OwnSeries(Series(*(empty_table(table).assign(key="") for table in (HISTORY, LAYERS, MEASUREMENTS))), {}, {})


class Runs(NamedTuple):
    """The runs of a table of results, by which the rows of other frames are found.

    frame: with key, factors and seed. identity: for each column that tells runs apart its name in the frame.
    """

    frame: pd.DataFrame
    identity: Mapping[str, str]


def read_own_series(
    runs: pd.DataFrame,
    columns: Columns,
    factors: Mapping[str, str],
    history: pd.DataFrame | None,
    layers: pd.DataFrame | None,
) -> OwnSeries:
    """The series of a study from frames with a row a value.

    Args:
        runs: the runs, with key, factors and seed.
        columns: the columns of the table of results, by which rows are told apart here too.
        factors: the factor of each of these columns.
        history: see `from_frame`.
        layers: see `from_frame`.

    Raises:
        SkiplabError: a column is missing, or rows belong to no run.
    """
    if columns.pair is None:
        raise SkiplabError("history and layers can't be told apart by run without seeds; give the column of seeds too")
    known = Runs(runs, {**factors, columns.pair: "seed"})
    frames, charts, measured_by = NO_SERIES.frames, {}, {}
    if history is not None:
        found = _of_runs(history, "history", ("step", "metric", "value"), known)
        frames = frames._replace(history=found[["key", *HISTORY.columns]], measurements=_measurements(found))
        for name in found["metric"].drop_duplicates():
            if name != _LOSS:
                charts[name] = Chart(title=name, caption=_CAPTION, kind="lines", x="step", value=name)
                measured_by[name] = "history"
    if layers is not None:
        found = _of_runs(layers, "layers", ("path", "quantity", "value"), known)
        order = {path: place for place, path in enumerate(found["path"].drop_duplicates())}
        found = found.assign(index=column(found, "path").map(order))
        frames = frames._replace(layers=found[["key", *LAYERS.columns]])
        for quantity, own in found.groupby("quantity", sort=False):
            name = str(quantity).partition(".")[0]
            charts[name] = _layers_chart(name, is_log=bool((own["value"] > 0).all()))
            measured_by[name] = "instrument"
    return OwnSeries(frames, charts, measured_by)


def _layers_chart(name: str, *, is_log: bool) -> Chart:
    return Chart(
        title=name,
        caption=f"{_CAPTION} Layers lie from 0, the first, to 1, the last.",
        kind="lines",
        x="layer",
        value=name,
        log=("value",) if is_log else (),
    )


def _of_runs(frame: pd.DataFrame, what: str, own: Sequence[str], runs: Runs) -> pd.DataFrame:
    """The rows of a frame with the key of their run, the step, and its own columns; sorted by run and step."""
    names = [*runs.identity, *own]
    if lacking := [name for name in names if name not in frame.columns]:
        raise SkiplabError(
            f"the {what} has no column {printable(', '.join(lacking))}; valid: {printable(', '.join(names))}"
        )
    if frame.empty:
        raise SkiplabError(f"the {what} has no rows; valid: a row for each value")
    frame = frame.reset_index(drop=True)
    keys = dict(zip(_texts(runs.frame, list(runs.identity.values())), runs.frame["key"], strict=True))
    found = pd.Series([keys.get(each) for each in _texts(frame, list(runs.identity))], index=frame.index, dtype=object)
    if found.isna().any():
        first = frame.loc[found.isna()].iloc[0]
        where = ", ".join(f"{name} {level_text(first[name])}" for name in runs.identity)
        raise SkiplabError(
            f"the {what} has values of no run of the table in {rows_text(found.isna())}, such as {printable(where)}; "
            "valid: the runs of the table"
        )
    steps = numbers(frame, "step").to_numpy() if "step" in frame else np.zeros(len(frame))
    whole = (steps % 1 == 0) & (np.abs(steps) < _LARGEST_STEP)
    if not whole.all():
        raise SkiplabError(f"the {what} has no whole step in {rows_text(~whole)}; valid: whole numbers")
    values = pd.DataFrame({"key": found, "step": steps.astype("int64"), "value": numbers(frame, "value")})
    for name in own:
        if name not in values:
            values[name] = column(frame, name).map(str)
    return values.sort_values(["key", "step"], kind="stable", ignore_index=True)


def _texts(frame: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, ...]]:
    texts = []
    for name in names:
        codes, found = pd.factorize(column(frame, name).astype(object), use_na_sentinel=False)
        texts.append(np.array([level_text(_whole(value)).strip() for value in found], dtype=object)[codes])
    return list(zip(*texts, strict=True))


def _whole(value: object) -> object:
    """1.0 as 1, since a column with a gap has floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _measurements(history: pd.DataFrame) -> pd.DataFrame:
    """The history, averaged over windows of steps, as charts take it."""
    rows = history.assign(x=step_windows(column(history, "step")), chart=column(history, "metric"))
    means = rows.groupby(["key", "chart", "x"], sort=False, as_index=False).agg(value=("value", "mean"))
    return means.assign(evaluator="", line="", y=np.nan).loc[:, ["key", *MEASUREMENTS.columns]]
