"""The report: one self-contained page with verdicts, tables, figures, samples and every trial that went wrong."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.study_claims import disagreement, study_claims
from skiplab.analysis.claims.verdict_files import write_verdicts
from skiplab.analysis.claims.verdict_terminal import render_verdicts
from skiplab.analysis.claims.verdict_text import cell_line, contrast_text, headline, part_text
from skiplab.analysis.claims.verdicts import Verdict, judge
from skiplab.analysis.figures.forest_figure import FOREST_CAPTION, forest_figure
from skiplab.analysis.output_files import write, writing
from skiplab.analysis.page import page_tables
from skiplab.analysis.page.page import rendered
from skiplab.analysis.page.page_figures import PageFigures
from skiplab.analysis.page.page_samples import page_samples
from skiplab.analysis.page.page_tables import Row
from skiplab.analysis.results.open_study import NO_COLUMNS, FileColumns, open_study
from skiplab.analysis.study.arms import status_counts
from skiplab.analysis.study.filters import Filters
from skiplab.analysis.study.origin import origin
from skiplab.analysis.study.study import Problem, Study
from skiplab.analysis.tables.comparison import NO_SELECTION, Selection, find_comparison
from skiplab.analysis.tables.parity import unequal_arms
from skiplab.analysis.text import level_text

_MOST_DRAWN = 2000  # trials whose curves are drawn


def report_command(
    study_name: str,
    runs_dir: Path,
    claims_path: Path | None = None,
    console: Console | None = None,
    selection: Selection = NO_SELECTION,
    columns: FileColumns = NO_COLUMNS,
    *,
    details: bool = False,
) -> list[Verdict]:
    """Print a study's verdicts and write them to verdicts.csv, if it has claims, and write its page.

    Args:
        study_name: what is judged.
        runs_dir: where its records are.
        claims_path: a file of claims, which the study remembers; None: the one that it remembers, if any.
        console: where verdicts are printed.
        selection: what the page compares.
        columns: what the columns of a file of results say.
        details: whether the tests behind each verdict are printed too.

    Returns:
        The verdicts.

    Raises:
        SkiplabError: if the study or the claims file can't be read, or a name is unknown.
    """
    console = console or terminal.console()
    study, metrics = open_study(study_name, runs_dir, columns, selection.metrics)
    selection = selection._replace(metrics=metrics)
    claims = study_claims(study, claims_path)
    find_comparison(study, claims, selection)  # an unknown name is refused before anything is written
    verdicts = judge(study, claims) if claims else []
    if claims:
        console.print(render_verdicts(verdicts, details=details))
    elif differ := disagreement(study):
        terminal.say(console, differ)
    if not study.has_numbers:
        terminal.say(console, f"no trial has a number to compare yet ({status_counts(study)})")
    drawn, left_out = drawable(study)
    terminal.say_problems(console, (*study.problems, *drawn.series_problems, *left_out))
    with writing(study.folder, console, answered=bool(claims)):
        if claims:
            terminal.say_written(console, [write_verdicts(verdicts, study.folder)])
        terminal.say_written(console, [write_report(study, claims, selection)])
    return verdicts


def write_report(study: Study, claims: Claims | None = None, selection: Selection = NO_SELECTION) -> Path:
    """Write report.html beside the study; returns its path."""
    return write(study.folder / "report.html", report_page(study, claims, selection=selection))


def report_page(
    study: Study, claims: Claims | None = None, version: str = "", selection: Selection = NO_SELECTION
) -> str:
    """The page.

    Args:
        study: what it shows.
        claims: what is judged; None: no verdicts.
        version: of a page that is served, which asks for newer ones; '' for a file, which asks for nothing.
        selection: what the page compares; by default what the claims are about.
    """
    factor, arms, control, metrics = find_comparison(study, claims, selection)
    filters = Filters(study, factor, arms)
    drawn, left_out = drawable(study)
    drawing = PageFigures(filters)
    samples, unreadable = page_samples(study, factor, arms, filters)
    verdicts = judge(study, claims) if claims else []
    problems = (*study.problems, *drawn.series_problems, *left_out, *unreadable)
    content = {
        "study": study,
        "question": claims.question if claims else "",
        "claims_sha256": claims.sha256[:12] if claims else "",
        "factor": factor,
        "control": control,
        "counts": status_counts(study),
        "filters": filters,
        "verdicts": [_verdict(verdict, filters) for verdict in verdicts],
        "forest": _forest(verdicts, drawing),
        "rates": page_tables.rates(study, factor, filters),
        "effects": page_tables.effects(study, factor, control, metrics, drawing),
        "equal_cost": page_tables.equal_cost(study, factor, control, metrics, filters, drawing),
        "tables": page_tables.comparisons(study, factor, control, arms, metrics, filters),
        "figures": drawing.groups(drawn, factor),
        "tuning": page_tables.tuning(study, filters, drawing),
        "arms": [(arm, filters.tags({}, arm)) for arm in arms],
        "samples": samples,
        "parity": page_tables.parity(study, factor, filters),
        "unequal": unequal_arms(study, control, factor),
        "unfinished": page_tables.unfinished(study, factor, filters),
        "problems": [_in_runs_dir(each, study) for each in problems],
        "origin": [Row(row) for row in origin(study).items()],
        "constants": [Row((name, level_text(value))) for name, value in study.constants.items()],
    }
    return rendered("report.html.jinja", version, drawing.definitions, title=study.name, **content)


def drawable(study: Study) -> tuple[Study, list[Problem]]:
    """The trials whose curves are drawn, and a note if these aren't all: nobody can read the curves of so many.

    Those of the lowest seeds are kept, so that each arm keeps the same seeds. Tables and verdicts are of all trials.
    """
    count = len(study.trials)
    if count <= _MOST_DRAWN:
        return study, []
    kept = study.trials.sort_values("seed", kind="stable").head(_MOST_DRAWN).sort_index()
    records = {key: study.records[key] for key in kept["key"] if key in study.records}
    reason = f"drawn from the {_MOST_DRAWN} trials of the lowest seeds, of {count}; tables and verdicts are of all"
    return replace(study, trials=kept.reset_index(drop=True), records=records), [Problem("figures of charts", reason)]


def _in_runs_dir(problem: Problem, study: Study) -> Problem:
    """A problem as it is shown to others, who needn't know where the records lie on this machine."""
    place = f"{study.runs_dir}/"
    return Problem(problem.where.removeprefix(place), problem.reason.replace(place, ""))


def _verdict(verdict: Verdict, filters: Filters) -> dict[str, Any]:
    return {
        "name": verdict.claim.name,
        "text": verdict.claim.text,
        "source": verdict.claim.source,
        "tested_part": verdict.claim.tested_part,
        "headline": headline(verdict),
        "class": verdict.conclusion.replace(" ", "-"),
        "parts": [_part(verdict, number, filters) for number in range(len(verdict.claim.parts)) if verdict.cells],
        "evidence": [
            (filters.tags(item.cell), contrast_text(item), cell_line(item), item in verdict.contested_by)
            for item in verdict.evidence
        ],
    }


def _part(verdict: Verdict, number: int, filters: Filters) -> dict[str, Any]:
    """One part of a claim in each cell; `says` is empty if it is the only one."""
    cells = [cell.parts[number] for cell in verdict.cells]
    return {
        "says": cells[0].test.says if len(verdict.claim.parts) > 1 else "",
        "contrast": part_text(cells),
        "lines": [(filters.tags(cell.cell), cell_line(cell)) for cell in cells],
    }


def _forest(verdicts: Sequence[Verdict], drawing: PageFigures) -> dict[str, Any] | None:
    """All cells of all claims in one figure; None if no claim has a cell in this study."""
    if not any(verdict.cells for verdict in verdicts):
        return None
    return drawing.figure("All cells of all claims", FOREST_CAPTION, forest_figure(verdicts))
