"""The report: one self-contained page with verdicts, figures, samples, tables and every trial."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.plain_words import RESIDUAL
from skiplab.analysis.claims.study_claims import disagreement, study_claims
from skiplab.analysis.claims.verdict_files import write_verdicts
from skiplab.analysis.claims.verdict_terminal import render_verdicts
from skiplab.analysis.claims.verdict_text import qualifiers
from skiplab.analysis.claims.verdicts import Verdict, judge
from skiplab.analysis.figures.figures import OUTCOME_CAPTION, SKILL_CAPTION, headline_metric, left_out_cells, outcome
from skiplab.analysis.output_files import write, writing
from skiplab.analysis.page import page_tables
from skiplab.analysis.page.page import rendered
from skiplab.analysis.page.page_figures import PageFigures
from skiplab.analysis.page.page_samples import page_samples
from skiplab.analysis.page.page_tables import Row
from skiplab.analysis.page.page_trials import page_trials, unfinished, unlisted
from skiplab.analysis.page.page_verdicts import page_verdicts
from skiplab.analysis.page.page_words import page_words
from skiplab.analysis.results.open_study import NO_COLUMNS, FileColumns, open_study
from skiplab.analysis.study.arms import DEFAULT_FACTOR, status_counts
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.collapsed import SKILLS
from skiplab.analysis.study.filters import Filters
from skiplab.analysis.study.origin import origin
from skiplab.analysis.study.study import Problem, Study
from skiplab.analysis.tables.comparison import NO_SELECTION, Selection, find_comparison
from skiplab.analysis.tables.parity import unequal_arms
from skiplab.analysis.text import level_text
from skiplab.records.file_names import HISTORY, LAYERS, MEASUREMENTS
from skiplab.records.read_records import readable

_MOST_DRAWN, _MOST_BYTES = 2000, 2**27  # trials whose histories are read, and the size of their tables
_MOST_ARMS = 8  # that the page names at its top


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
    terminal.say_problems(console, (*study.problems, *drawn.series_problems))
    if left_out:
        terminal.say(console, left_out)
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
    limits, claimed = qualifiers(verdicts), page_verdicts(verdicts, filters, drawing)
    problems = (*study.problems, *drawn.series_problems, *unreadable)
    content = {
        "study": study,
        "question": claims.question if claims else "",
        "claims_sha256": claims.sha256[:12] if claims else "",
        "factor": factor,
        "control": control,
        "counts": status_counts(study),
        "arm_words": _arm_words(arms, control, factor),
        "filters": filters,
        "headline": _headline(study, factor, metrics, drawing),
        "qualifiers": limits,
        "verdicts": claimed,
        "words": page_words(limits, claimed),
        "rates": page_tables.rates(study, factor, filters),
        "effects": page_tables.effects(study, factor, control, metrics, drawing),
        "equal_cost": page_tables.equal_cost(drawn, factor, control, metrics, filters, drawing),
        "tables": page_tables.comparisons(study, factor, control, arms, metrics, filters),
        "figures": drawing.groups(drawn, factor),
        "tuning": page_tables.tuning(study, filters, drawing),
        "arms": [(arm, filters.tags({}, arm)) for arm in arms],
        "samples": samples,
        "parity": page_tables.parity(study, factor, filters),
        "unequal": unequal_arms(study, control, factor),
        "trials": page_trials(drawn, factor, metrics, filters, has_links=not version),
        "unfinished": unfinished(study, factor, filters),
        "unlisted": unlisted(study),
        "left_out": left_out,
        "num_problems": len(problems),
        "problems": readable(_in_runs_dir(each, study) for each in problems),
        "origin": [Row(row) for row in origin(study).items()],
        "constants": [Row((name, level_text(value))) for name, value in study.constants.items()],
    }
    return rendered("report.html.jinja", version, drawing.definitions, title=study.name, **content)


@cached_per_study
def drawable(study: Study) -> tuple[Study, str]:
    """The trials whose histories are read and which are listed, and a sentence if these aren't all; '' if they are.

    Nobody can read the curves of so many, and to read their histories takes minutes. Those of the lowest seeds are
    kept, so that each arm keeps the same seeds. Verdicts and comparisons of metrics are of all trials.
    """
    by_seed, count = study.trials.sort_values("seed", kind="stable"), len(study.trials)
    sizes = [_series_bytes(study, key) for key in by_seed["key"].head(_MOST_DRAWN)]
    most = max(1, int(np.searchsorted(np.cumsum(sizes), _MOST_BYTES, side="right")))
    if count <= most:
        return study, ""
    kept = by_seed.head(most).sort_index()
    records = {key: study.records[key] for key in kept["key"] if key in study.records}
    sentence = (
        f"The study has {count} trials: charts, the comparison at equal cost and the list of trials show the {most} of "
        "the lowest seeds; verdicts and all other comparisons count all."
    )
    return replace(study, trials=kept.reset_index(drop=True), records=records), sentence


def _headline(study: Study, factor: str, metrics: Sequence[str], drawing: PageFigures) -> dict[str, Any] | None:
    """The figure with which the page opens; None where no metric has a value."""
    if not study.has_numbers:
        return None
    name = metrics[0] if metrics else headline_metric(study)
    label = study.metrics[name].label
    caption = f"{OUTCOME_CAPTION} {SKILL_CAPTION}" if name in SKILLS and study.records else OUTCOME_CAPTION
    caption = f"{caption} {left_out_cells(study, factor)}".strip()
    return drawing.figure(f"{label[:1].upper()}{label[1:]}", caption, outcome(study, name, factor))


def _arm_words(arms: Sequence[str], control: str, factor: str) -> str:
    """The arms by their names, with what a sentence calls them; how many there are where there are many."""
    if len(arms) > _MOST_ARMS:
        return f"{len(arms)} arms, {control} is the control"
    notes = {control: "control"} | ({"identity": RESIDUAL} if factor == DEFAULT_FACTOR and "plain" in arms else {})
    return ", ".join(f"{arm} ({notes[arm]})" if arm in notes else arm for arm in arms)


def _series_bytes(study: Study, key: str) -> int:
    """How long the tables are from which a trial's curves are drawn."""
    if key not in study.records:  # a row of a table of results
        return 0
    paths = [study.runs_dir / key / table.file for table in (HISTORY, LAYERS, MEASUREMENTS)]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _in_runs_dir(problem: Problem, study: Study) -> Problem:
    """A problem as it is shown to others, who needn't know where the records lie on this machine."""
    place = f"{study.runs_dir}/"
    return Problem(problem.where.removeprefix(place), problem.reason.replace(place, ""))
