"""`skiplab figures`: every figure of a study as files for papers and slides."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.arms import cell_factors, status_counts
from skiplab.analysis.chart_figures import DrawnChart, draw_chart
from skiplab.analysis.claims import Claims
from skiplab.analysis.compared import ANY, Asked, compared
from skiplab.analysis.figures import LOSS_WORDS, headline_figure, headline_metric, loss_curves
from skiplab.analysis.forest_figure import FOREST_WORDS, forest_figure
from skiplab.analysis.interaction_figure import INTERACTION_WORDS, interaction_figure
from skiplab.analysis.palette import to_pdf, to_png, to_svg
from skiplab.analysis.runs import Study, read_study
from skiplab.analysis.sample_figure import SAMPLE_WORDS, sample_figure
from skiplab.analysis.study_claims import study_claims
from skiplab.analysis.text import markdown, printable, unknown_name
from skiplab.analysis.verdicts import judge
from skiplab.errors import SkiplabError

DEFAULT_FORMATS = ("pdf", "png")


def drawables(study: Study, claims: Claims | None, asked: Asked = ANY) -> dict[str, Callable[[], DrawnChart | None]]:
    """What can be drawn of a study, by name; None comes where there turns out to be no value."""
    factor, arms, control, _ = compared(study, claims, asked)
    found: dict[str, Callable[[], DrawnChart | None]] = {}
    if claims:
        found["forest"] = lambda: DrawnChart(forest_figure(judge(study, claims)), FOREST_WORDS)
    if study.has_numbers:
        name = headline_metric(study)
        label = f"{study.metrics[name].label}, of each arm."
        found["headline"] = lambda: DrawnChart(headline_figure(study, factor), label)
        if len(arms) > 1 and cell_factors(study, factor):
            found["interaction"] = lambda: DrawnChart(
                interaction_figure(study, name, factor, control), INTERACTION_WORDS
            )
    if (study.history["metric"] == "loss").any():
        found["training_loss"] = lambda: DrawnChart(loss_curves(study, factor), LOSS_WORDS)
    found["samples"] = lambda: _samples(study, factor)
    return found | {name: partial(draw_chart, study, name, factor) for name in study.charts}


def _samples(study: Study, factor: str) -> DrawnChart | None:
    figure = sample_figure(study, factor)
    return DrawnChart(figure, SAMPLE_WORDS) if figure else None


def figures_command(
    study_name: str,
    runs_dir: Path,
    claims_path: Path | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    only: Sequence[str] | None = None,
    console: Console | None = None,
    asked: Asked = ANY,
) -> None:
    """Write the study's figures, all or those asked for, and figures.md, which says how to read each.

    Raises:
        SkiplabError: where the study, the claims, a format, a figure or what is asked for is unknown.
    """
    console = console or terminal.console()
    study = read_study(study_name, runs_dir)
    known = drawables(study, study_claims(study, claims_path), asked)
    for what, asked, valid in (("format", formats, _WRITERS), ("figure", only or (), known)):
        if wrong := [name for name in asked if name not in valid]:
            raise SkiplabError(unknown_name(what, wrong[0], list(valid)))
    found = {name: known[name]() for name in only or known}  # before anything is written: a factor may be unknown
    folder = study.folder / "figures"
    folder.mkdir(exist_ok=True)
    index = [f"# {markdown(study.name)}"]
    for name, drawn in found.items():
        if drawn is None:
            continue
        names = ", ".join(path.name for path in _written(drawn.figure, folder, name, formats))
        index.append(f"## {markdown(name)}\n\n{markdown(drawn.words)}\n\n{markdown(names)}")
        console.print(printable(names), markup=False, highlight=False, soft_wrap=True)
    if len(index) == 1:
        console.print(f"no figure: no trial has left a value to draw yet ({status_counts(study)})", markup=False)
    (folder / "figures.md").write_text("\n\n".join(index) + "\n")
    console.print(f"written to {printable(folder)}", markup=False, highlight=False, soft_wrap=True)


def _written(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> Iterator[Path]:
    for ending in formats:
        path = folder / f"{name}.{ending}"
        _WRITERS[ending](figure, path)
        yield path


def _write_svg(figure: Figure, path: Path) -> None:
    path.write_text(to_svg(figure))


_WRITERS: dict[str, Callable[[Figure, Path], None]] = {"pdf": to_pdf, "svg": _write_svg, "png": to_png}
