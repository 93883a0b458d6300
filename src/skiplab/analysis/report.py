"""The report: one self-contained page with verdicts, tables, figures, samples and every trial that went wrong."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError
from rich.console import Console

from skiplab.analysis import figures, terminal
from skiplab.analysis.arms import cells, chosen_control, in_cell, with_arms
from skiplab.analysis.chart_figures import draw_chart
from skiplab.analysis.claims import Claims, read_claims
from skiplab.analysis.origin import origin
from skiplab.analysis.palette import to_svg
from skiplab.analysis.parity import COSTS, parity_table, unequal_arms
from skiplab.analysis.runs import Problem, Study, read_study
from skiplab.analysis.table_text import by_metric, caption, headings, text_rows
from skiplab.analysis.tables import asked_metrics, comparison_table
from skiplab.analysis.text import cell_text, level_text, printable
from skiplab.analysis.tuning import tuning_headings, tuning_rows, tuning_words
from skiplab.analysis.tuning_figure import tuning_figure
from skiplab.analysis.verdict_files import write_verdicts
from skiplab.analysis.verdict_text import asked, cell_line, headline, render_verdicts
from skiplab.analysis.verdicts import Verdict, judge

_TEMPLATE = "report.html.jinja"
_PIXELS_PER_INCH = 96  # of a page
_LARGEST_SIDE = 640  # of a sample grid, in pixels; larger ones are scaled down


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
    factor = claims.claims[0].primary.contrast.factor if claims else "connection"
    arms = list(with_arms(study, factor)["arm"].cat.categories)
    wanted = claims.claims[0].primary.contrast.control if claims else None
    control = chosen_control(arms, wanted if wanted in arms else None) if arms else ""
    samples, unreadable = _samples(study, factor, arms)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else printable(value),
    )
    page = environment.get_template(_TEMPLATE).render(
        study=study,
        question=claims.question if claims else "",
        claims_sha256=claims.sha256[:12] if claims else "",
        factor=factor,
        control=control,
        counts=_counts(study),
        verdicts=[_verdict(verdict) for verdict in judge(study, claims)] if claims else [],
        tables=_tables(study, factor, control, arms, claims),
        figures=_figures(study, factor),
        tuning=_tuning(study),
        arms=arms,
        samples=samples,
        parity=_parity(study, factor),
        unequal=unequal_arms(study, control, factor),
        unfinished=_unfinished(study),
        problems=[*study.problems, *study.series_problems, *unreadable],
        origin=origin(study),
        constants={name: level_text(value) for name, value in study.constants.items()},
    )
    path = study.folder / "report.html"
    path.write_text(page)
    return path


def _counts(study: Study) -> str:
    counts = study.trials["status"].value_counts()
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.claim.name,
        "text": verdict.claim.text,
        "source": verdict.claim.source,
        "tested_part": verdict.claim.tested_part,
        "headline": headline(verdict),
        "class": verdict.word.split(",")[0].replace(" ", "-"),
        "asked": asked(verdict.cells[0]) if verdict.cells else "",
        "lines": [cell_line(cell) for cell in verdict.cells],
        "evidence": [(asked(item), cell_line(item), item in verdict.contested_by) for item in verdict.evidence],
    }


def _tables(
    study: Study, factor: str, control: str, arms: Sequence[str], claims: Claims | None
) -> list[dict[str, Any]]:
    if not study.metrics:
        return []
    metrics = asked_metrics(study, claims) if claims else None
    table = comparison_table(study, factor=factor, control=control if len(arms) > 1 else None, metrics=metrics)
    return [
        {
            "name": name,
            "caption": caption(part),
            "headings": headings(part),
            "rows": text_rows(part),
            "num_texts": len(part.attrs["cell_factors"]) + ("arm" in headings(part)),
        }
        for name, part in by_metric(table)
    ]


def _figures(study: Study, factor: str) -> list[dict[str, Any]]:
    """The figures in groups: the training loss, then every chart by who measured it, instruments first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    if (study.history["metric"] == "loss").any():
        words = "Geometric mean over seeds; the band runs from the lowest to the highest seed, a cross marks a diverged"
        curves = _figure("Training loss", f"{words} trial.", figures.loss_curves(study, factor))
        groups[""] = [curves]
    for name in sorted(study.charts, key=lambda name: not study.measured_by[name].startswith("instrument")):
        drawn = draw_chart(study, name, factor)
        if drawn:
            figure = _figure(study.charts[name].title, drawn.words, drawn.figure)
            groups.setdefault(study.measured_by[name], []).append(figure)
    return [
        {"id": f"figures-{position}", **_heading(measured_by), "figures": found}
        for position, (measured_by, found) in enumerate(groups.items())
    ]


def _tuning(study: Study) -> dict[str, Any] | None:
    """What was tuned for the study's trials."""
    if not study.tuned:
        return None
    tuned = study.tuned
    words = "Mean over the tuning seeds at each rate; every seed is a dot, a ring is what was chosen, a cross diverged."
    return {
        "words": tuning_words(tuned),
        "study": tuned.study,
        "names": ", ".join(tuned.names),
        "departures": _departures(study),
        "headings": tuning_headings(tuned),
        "num_texts": len(tuned.factors),
        "rows": tuning_rows(tuned),
        "figure": _figure("Metric against learning rate", words, tuning_figure(tuned)),
    }


def _departures(study: Study) -> str:
    """Which trials don't carry what was chosen for them."""
    own = [study.tuned.followed_by(each["choices"], each["factors"]) for each in study.records.values()]
    return "" if all(own) else f"{own.count(False)} of {len(own)} trials carry other settings than those chosen."


def _heading(measured_by: str) -> dict[str, str]:
    """What a group of figures is called, and the option that measures it."""
    kind, _, name = measured_by.partition(" ")
    words = name.replace("_", " ") or kind or "training"
    when = {"instrument": "measured during training by", "evaluator": "measured after training by"}.get(kind, "")
    return {"heading": words[0].upper() + words[1:], "words": f"{when} {kind}={name}" if when else ""}


def _figure(title: str, words: str, figure: Figure) -> dict[str, Any]:
    encoded = base64.b64encode(to_svg(figure).encode()).decode("ascii")
    return {
        "title": title,
        "words": words,
        "source": Markup(f"data:image/svg+xml;base64,{encoded}"),
        "width": round(_PIXELS_PER_INCH * figure.get_figwidth()),
    }


def _samples(study: Study, factor: str, arms: Sequence[str]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """A row a cell: for each arm the grid of its lowest seed that has one."""
    trials, rows, problems = with_arms(study, factor), [], []
    for cell in cells(study, factor):
        present = in_cell(study, trials, cell).sort_values("seed")
        pictures = []
        for arm in arms:
            picture = None
            for trial in present[present["arm"] == arm].itertuples():
                path = study.runs_dir / trial.key / "samples.png"
                try:
                    picture = {"source": _png(path), "seed": level_text(trial.seed), "arm": arm}
                    break
                except FileNotFoundError:
                    continue
                except (OSError, ValueError, UnidentifiedImageError) as error:
                    problems.append(Problem(str(path), str(error)))
            pictures.append(picture)
        if any(pictures):
            rows.append({"cell": cell_text(cell), "pictures": pictures})
    return rows, problems


def _png(path: Path) -> str:
    content = path.read_bytes()
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        image.load()
        if max(image.size) > _LARGEST_SIDE:
            image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
            buffer = io.BytesIO()
            image.save(buffer, format="PNG", optimize=True)
            content = buffer.getvalue()
    return Markup(f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}")


def _parity(study: Study, factor: str) -> dict[str, Any]:
    table = parity_table(study, factor)
    texts = [name for name in table.columns if name not in COSTS]
    return {
        "headings": [*texts, *COSTS.values()],
        "num_texts": len(texts),
        "rows": [
            [*(level_text(row[name]) for name in texts), *(_count(row[name]) for name in COSTS)]
            for row in table.to_dict("records")
        ],
    }


def _count(value: float) -> str:
    return "–" if value != value else f"{value:,.0f}"


def _unfinished(study: Study) -> list[dict[str, str]]:
    """Every trial that isn't done, with its reason."""
    names = [*study.factors, "seed"]
    found = []
    for trial in study.trials[study.trials["status"] != "done"].to_dict("records"):
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
            }
        )
    return found
