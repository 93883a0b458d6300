"""`skiplab figures`: every figure of a study as files for papers and slides."""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.study_claims import study_claims
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.figures.chart_figures import DrawnChart, draw_chart
from skiplab.analysis.figures.equal_cost_figure import equal_cost_caption, equal_cost_figure
from skiplab.analysis.figures.figures import (
    depth_factor,
    headline_figure,
    headline_metric,
    loss_caption,
    loss_curves,
)
from skiplab.analysis.figures.forest_figure import FOREST_CAPTION, forest_figure
from skiplab.analysis.figures.interaction_figure import interaction_caption, interaction_figure
from skiplab.analysis.figures.palette import to_pdf, to_png, to_svg
from skiplab.analysis.figures.sample_figure import SAMPLE_CAPTION, sample_figure
from skiplab.analysis.output_files import write, writing
from skiplab.analysis.results.open_study import NO_COLUMNS, FileColumns, open_study
from skiplab.analysis.study.arms import cell_factors, status_counts
from skiplab.analysis.study.study import LOSS, Study
from skiplab.analysis.tables.comparison import NO_SELECTION, Selection, find_comparison
from skiplab.analysis.text import markdown, unknown_name
from skiplab.errors import SkiplabError
from skiplab.printable import printable

DEFAULT_FORMATS = ("pdf", "png")
_NO_NAME = re.compile(r"[^\w.+-]")  # characters of a chart's name that its file's name doesn't take
_LONGEST = 100  # characters of a file's name


def drawables(
    study: Study, claims: Claims | None, selection: Selection = NO_SELECTION
) -> dict[str, Callable[[], DrawnChart | None]]:
    """The figures of a study by name, each as a function that draws it, or returns None without a value to draw."""
    factor, arms, control, _ = find_comparison(study, claims, selection)
    found: dict[str, Callable[[], DrawnChart | None]] = {}
    if claims:
        found["forest"] = lambda: DrawnChart(forest_figure(judge(study, claims)), FOREST_CAPTION)
    if study.has_numbers:
        name = headline_metric(study)
        label = f"{study.metrics[name].label}, of each arm."
        found["headline"] = lambda: DrawnChart(headline_figure(study, factor), label)
        if len(arms) > 1 and cell_factors(study, factor):
            found["interaction"] = lambda: DrawnChart(
                interaction_figure(study, name, factor, control), interaction_caption(study, factor)
            )
    if LOSS in study.history["metric"].unique():
        found["training_loss"] = lambda: DrawnChart(loss_curves(study, factor), loss_caption(study, factor))
        if study.records and depth_factor(study, factor):
            found["equal_cost"] = lambda: DrawnChart(
                equal_cost_figure(study, factor), equal_cost_caption(study, factor)
            )
    found["samples"] = lambda: _samples(study, factor)
    return found | {name: partial(draw_chart, study, name, factor) for name in study.charts}


def figures_of_study(
    study: Study, factor: str | None = None, control: str | None = None
) -> dict[str, Callable[[], DrawnChart | None]]:
    """The same by the claims that the study remembers, if it remembers any."""
    return drawables(study, study_claims(study), Selection(factor, control))


def draw_figure(study: Study, name: str, factor: str | None = None, control: str | None = None) -> Figure:
    """One of them.

    Raises:
        SkiplabError: if the name is unknown, or no trial has a value to draw.
    """
    known = figures_of_study(study, factor, control)
    if name not in known:
        raise SkiplabError(unknown_name("figure", name, list(known)))
    drawn = known[name]()
    if drawn is None:
        raise SkiplabError(
            f"no trial of {printable(study.name)} has a value for the figure {printable(name)} "
            f"({status_counts(study)}); valid: another of {printable(', '.join(known))}"
        )
    return drawn.figure


def _samples(study: Study, factor: str) -> DrawnChart | None:
    figure = sample_figure(study, factor)
    return DrawnChart(figure, SAMPLE_CAPTION) if figure else None


def figures_command(
    study_name: str,
    runs_dir: Path,
    claims_path: Path | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    only: Sequence[str] | None = None,
    console: Console | None = None,
    selection: Selection = NO_SELECTION,
    columns: FileColumns = NO_COLUMNS,
) -> None:
    """Write the study's figures, all or those named by `only`, and figures.md with their captions.

    Raises:
        SkiplabError: if the study, the claims, a format, a figure or a name of the selection is unknown.
    """
    console = console or terminal.console()
    study, metrics = open_study(study_name, runs_dir, columns, selection.metrics)
    selection = selection._replace(metrics=metrics)
    known = drawables(study, study_claims(study, claims_path), selection)
    _check_formats(formats)
    if wrong := [name for name in only or () if name not in known]:
        raise SkiplabError(unknown_name("figure", wrong[0], list(known)))
    found = {
        name: known[name]() for name in only or known
    }  # drawn before anything is written, since a factor may be unknown
    terminal.say_problems(console, (*study.problems, *study.series_problems))
    folder = study.folder / "figures"
    with writing(folder, console, answered=False):
        *figures, _ = write_figures(study.name, found, folder, formats)
        for path in figures:
            terminal.say(console, path.name)
        if not figures:
            terminal.say(console, f"no figure was written: no trial has a value to draw yet ({status_counts(study)})")
    terminal.say(console, f"written to {folder}")


def write_figures(
    title: str, figures: Mapping[str, DrawnChart | None], folder: Path, formats: Sequence[str]
) -> list[Path]:
    """Write figures by name and, at last, figures.md with their captions; returns the files.

    Raises:
        SkiplabError: if a format is unknown.
    """
    _check_formats(formats)
    index, files = [f"# {markdown(title)}"], []
    for name, drawn in figures.items():
        if drawn is not None:
            own = list(_written(drawn.figure, folder, name, formats))
            names = ", ".join(path.name for path in own)
            index.append(f"## {markdown(name)}\n\n{markdown(drawn.caption)}\n\n{markdown(names)}")
            files += own
    return [*files, write(folder / "figures.md", "\n\n".join(index) + "\n")]


def _check_formats(formats: Sequence[str]) -> None:
    if wrong := [name for name in formats if name not in _FORMATS]:
        raise SkiplabError(unknown_name("format", wrong[0], list(_FORMATS)))


def _written(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> Iterator[Path]:
    stem = _NO_NAME.sub("_", name)[:_LONGEST]
    for ending in formats:
        yield write(folder / f"{stem}.{ending}", _FORMATS[ending](figure))


def _bytes(draw: Callable[[Figure, Any], None], figure: Figure) -> bytes:
    buffer = io.BytesIO()
    draw(figure, buffer)
    return buffer.getvalue()


_FORMATS: dict[str, Callable[[Figure], str | bytes]] = {
    "pdf": partial(_bytes, to_pdf),
    "svg": to_svg,
    "png": partial(_bytes, to_png),
}
