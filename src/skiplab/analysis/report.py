"""The report: one self-contained page with verdicts, tables, figures, samples and every trial that went wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.arms import cell_factors, chosen_control, with_arms
from skiplab.analysis.claims import Claims, read_claims
from skiplab.analysis.filters import Filters
from skiplab.analysis.origin import origin
from skiplab.analysis.page import rendered
from skiplab.analysis.page_figures import PageFigures
from skiplab.analysis.page_samples import page_samples
from skiplab.analysis.parity import COSTS, parity_table, unequal_arms
from skiplab.analysis.runs import Study, read_study
from skiplab.analysis.table_text import better_means, by_metric, caption, headings, text_rows
from skiplab.analysis.tables import asked_metrics, comparison_table
from skiplab.analysis.text import cell_text, level_text, printable
from skiplab.analysis.tuning import tuning_headings, tuning_rows, tuning_words
from skiplab.analysis.tuning_figure import tuning_figure
from skiplab.analysis.verdict_files import write_verdicts
from skiplab.analysis.verdict_text import asked, cell_line, headline, render_verdicts
from skiplab.analysis.verdicts import Verdict, judge


class Row(NamedTuple):
    """A row of a table. tags: what it belongs to; bold: the column to emphasise, or none."""

    entries: Sequence[str]
    tags: str = ""
    bold: int | None = None


def report_command(
    study_name: str, runs_dir: Path, claims_path: Path | None = None, console: Console | None = None
) -> None:
    """Print a study's verdicts and write them to verdicts.csv, if there are claims, and write its page.

    Raises:
        SkiplabError: where the study or the claims file can't be read.
    """
    console = console or terminal.console()
    study = read_study(study_name, runs_dir)
    claims = read_claims(claims_path) if claims_path else None
    if claims:
        verdicts = judge(study, claims)
        console.print(render_verdicts(verdicts))
        written = write_verdicts(verdicts, study.folder)
        console.print(f"written: {printable(written)}", markup=False, highlight=False, soft_wrap=True)
    page = write_report(study, claims)
    for problem in (*study.problems, *study.series_problems):
        found = f"not read: {printable(problem.where)}: {printable(problem.reason)}"
        console.print(found, markup=False, highlight=False, soft_wrap=True)
    console.print(f"written: {printable(page)}", markup=False, highlight=False, soft_wrap=True)


def write_report(study: Study, claims: Claims | None = None) -> Path:
    """Write report.html beside the study; returns its path."""
    path = study.folder / "report.html"
    path.write_text(report_page(study, claims))
    return path


def report_page(study: Study, claims: Claims | None = None, version: str = "") -> str:
    """The page.

    Args:
        study: what it shows.
        claims: what is judged; None: no verdicts.
        version: of a page that is served, which asks for newer ones; '' for a file, which asks for nothing.
    """
    factor = claims.claims[0].primary.contrast.factor if claims else "connection"
    arms = list(with_arms(study, factor)["arm"].cat.categories)
    wanted = claims.claims[0].primary.contrast.control if claims else None
    control = chosen_control(arms, wanted if wanted in arms else None) if arms else ""
    filters = Filters(study, factor, arms)
    drawing = PageFigures(filters)
    samples, unreadable = page_samples(study, factor, arms, filters)
    content = {
        "study": study,
        "question": claims.question if claims else "",
        "claims_sha256": claims.sha256[:12] if claims else "",
        "factor": factor,
        "control": control,
        "counts": _counts(study),
        "filters": filters,
        "verdicts": [_verdict(verdict, filters) for verdict in judge(study, claims)] if claims else [],
        "tables": _tables(study, factor, control, arms, claims, filters),
        "figures": drawing.groups(study, factor),
        "tuning": _tuning(study, filters, drawing),
        "arms": [(arm, filters.tags({}, arm)) for arm in arms],
        "samples": samples,
        "parity": _parity(study, factor, filters),
        "unequal": unequal_arms(study, control, factor),
        "unfinished": _unfinished(study, factor, filters),
        "problems": [*study.problems, *study.series_problems, *unreadable],
        "origin": [Row(row) for row in origin(study).items()],
        "constants": [Row((name, level_text(value))) for name, value in study.constants.items()],
    }
    return rendered("report.html.jinja", version, drawing.definitions, title=study.name, **content)


def _counts(study: Study) -> str:
    counts = study.trials["status"].value_counts()
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"


def _verdict(verdict: Verdict, filters: Filters) -> dict[str, Any]:
    return {
        "name": verdict.claim.name,
        "text": verdict.claim.text,
        "source": verdict.claim.source,
        "tested_part": verdict.claim.tested_part,
        "headline": headline(verdict),
        "class": verdict.word.split(",")[0].replace(" ", "-"),
        "asked": asked(verdict.cells[0]) if verdict.cells else "",
        "lines": [(filters.tags(cell.cell), cell_line(cell)) for cell in verdict.cells],
        "evidence": [
            (filters.tags(item.cell), asked(item), cell_line(item), item in verdict.contested_by)
            for item in verdict.evidence
        ],
    }


def _tables(
    study: Study, factor: str, control: str, arms: Sequence[str], claims: Claims | None, filters: Filters
) -> list[dict[str, Any]]:
    if not study.metrics:
        return []
    metrics = asked_metrics(study, claims) if claims else None
    table = comparison_table(study, factor=factor, control=control if len(arms) > 1 else None, metrics=metrics)
    found = []
    for name, part in by_metric(table):
        names = part.attrs["cell_factors"]
        several = "arm" in headings(part)
        rows = zip(text_rows(part), part.to_dict("records"), better_means(part), strict=True)
        found.append(
            {
                "name": name,
                "caption": caption(part),
                "headings": headings(part),
                "rows": [
                    Row(texts, filters.tags({n: row[n] for n in names}, row["treatment"] if several else ""), bold)
                    for texts, row, bold in rows
                ],
                "num_texts": len(names) + several,
            }
        )
    return found


def _tuning(study: Study, filters: Filters, drawing: PageFigures) -> dict[str, Any] | None:
    """What was tuned for the study's trials."""
    if not study.tuned:
        return None
    tuned = study.tuned
    words = "Mean over the tuning seeds at each rate; every seed is a dot, a ring is what was chosen, a cross diverged."
    rows = zip(tuning_rows(tuned), tuned.combinations, strict=True)
    return {
        "words": tuning_words(tuned),
        "study": tuned.study,
        "names": ", ".join(tuned.names),
        "departures": _departures(study),
        "headings": tuning_headings(tuned),
        "num_texts": len(tuned.factors),
        "rows": [Row(row, filters.tags(each.factors)) for row, each in rows],
        "figure": drawing.figure("Metric against learning rate", words, tuning_figure(tuned)),
    }


def _departures(study: Study) -> str:
    """Which trials don't carry what was chosen for them."""
    own = [study.tuned.followed_by(each["choices"], each["factors"]) for each in study.records.values()]
    return "" if all(own) else f"{own.count(False)} of {len(own)} trials carry other settings than those chosen."


def _parity(study: Study, factor: str, filters: Filters) -> dict[str, Any]:
    table = parity_table(study, factor)
    texts = [name for name in table.columns if name not in COSTS]
    return {
        "headings": [*texts, *COSTS.values()],
        "num_texts": len(texts),
        "rows": [
            Row(
                [*(level_text(row[name]) for name in texts), *(_count(row[name]) for name in COSTS)],
                _tags_of(row, study, factor, filters),
            )
            for row in table.to_dict("records")
        ],
    }


def _tags_of(row: Mapping[str, Any], study: Study, factor: str, filters: Filters) -> str:
    """The tags of a row that names its arm and the levels of its cell."""
    return filters.tags({name: row[name] for name in cell_factors(study, factor)}, row["arm"])


def _count(value: float) -> str:
    return "–" if value != value else f"{value:,.0f}"


def _unfinished(study: Study, factor: str, filters: Filters) -> list[dict[str, str]]:
    """Every trial that isn't done, with its reason."""
    names, trials = [*study.factors, "seed"], with_arms(study, factor)
    found = []
    for trial in trials[trials["status"] != "done"].to_dict("records"):
        reasons = {
            "diverged": f"diverged at step {trial['diverged_step']:.0f}",
            "running": "running, or killed before its end: the same command resumes it",
            "interrupted": f"stopped: {trial['error']}",
            "failed": (str(trial["error"] or "").strip().splitlines() or ["no reason recorded"])[-1],
        }
        found.append(
            {
                "key": trial["key"],
                "what": cell_text({name: trial[name] for name in names}),
                "status": trial["status"],
                "reason": printable(reasons[trial["status"]]),
                "error": printable(trial["error"] or ""),
                "tags": _tags_of(trial, study, factor, filters),
            }
        )
    return found
