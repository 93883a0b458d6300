"""The tables of a study's page; each row knows the cell and arm it belongs to."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from skiplab.analysis.figures.equal_cost_figure import equal_cost_caption, equal_cost_figure
from skiplab.analysis.figures.figures import depth_factor
from skiplab.analysis.figures.interaction_figure import interaction_caption, interaction_figure
from skiplab.analysis.figures.tuning_figure import tuning_figure
from skiplab.analysis.frames import column, frame_rows
from skiplab.analysis.page.page_figures import PageFigures
from skiplab.analysis.study.arms import cell_factors, with_arms
from skiplab.analysis.study.filters import Filters
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.analysis.tables.effects_table import EFFECT_HEADINGS, UNPAIRED_NOTE, effect_rows, effects_table
from skiplab.analysis.tables.equal_cost import TRAINING_LOSS, equal_cost_metric, equal_cost_table
from skiplab.analysis.tables.equal_cost_text import (
    EQUAL_COST_CAPTION,
    equal_cost_cells,
    equal_cost_headings,
    equal_cost_rows,
)
from skiplab.analysis.tables.parity import COSTS, parity_table
from skiplab.analysis.tables.rates_table import rate_headings, rate_rows, rates_table
from skiplab.analysis.tables.table_text import better_means, caption, headings, text_rows
from skiplab.analysis.tables.tuning_table import tuning_headings, tuning_rows, tuning_words
from skiplab.analysis.text import level_text
from skiplab.errors import SkiplabError
from skiplab.records.tuned import Tuned


class Row(NamedTuple):
    """A row of a table. tags: its cell and arm. bold: the column to emphasize, or None."""

    entries: Sequence[str]
    tags: str = ""
    bold: int | None = None


def comparisons(
    study: Study, factor: str, control: str, arms: Sequence[str], metrics: Sequence[str], filters: Filters
) -> list[dict[str, Any]]:
    """Each arm against the control, in one table per metric."""
    if not metrics:
        return []
    table = comparison_table(study, factor=factor, control=control if len(arms) > 1 else None, metrics=metrics)
    found = []
    for name, part in table.by_metric.items():
        names = part.cell_factors
        several = "arm" in headings(part)
        rows = zip(text_rows(part), part.rows, better_means(part), strict=True)
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


def rates(study: Study, factor: str, filters: Filters) -> dict[str, Any] | None:
    """How often trials diverged or collapsed; None if none did."""
    table = rates_table(study, factor)
    happened = table.loc[(table["diverged"] > 0) | (table["collapsed"] > 0)]
    if happened.empty:
        return None
    rows = zip(rate_rows(happened), frame_rows(happened), strict=True)
    names = rate_headings(happened)
    return {
        "headings": names,
        "num_texts": len(names) - 2,
        "rows": [Row(texts, tags_of(row, study, factor, filters)) for texts, row in rows],
    }


def effects(
    study: Study, factor: str, control: str, metrics: Sequence[str], drawing: PageFigures
) -> dict[str, Any] | None:
    """Main effects and interactions on the first metric; None if there is one arm or one cell."""
    if not metrics or len(set(with_arms(study, factor)["arm"])) < 2 or not cell_factors(study, factor):
        return None
    name = metrics[0]
    found: dict[str, Any] = {
        "label": study.metrics[name].label,
        "headings": EFFECT_HEADINGS,
        "rows": [],
        "missing": "",
        "note": "",
    }
    try:
        table = effects_table(study, name, factor, control)
        found["rows"] = [Row(row) for row in effect_rows(table)]
        found["note"] = "" if table["paired"].to_numpy().all() else UNPAIRED_NOTE
    except SkiplabError as error:
        found["missing"] = str(error)
    drawn = interaction_figure(study, name, factor, control)
    shows = interaction_caption(study, factor)
    return found | {"figure": drawing.figure("How the effect depends on the rest", shows, drawn)}


def equal_cost(
    study: Study, factor: str, control: str, metrics: Sequence[str], filters: Filters, drawing: PageFigures
) -> dict[str, Any] | None:
    """The best depth of each arm at equal cost; None if depth doesn't vary or nothing was measured."""
    over = depth_factor(study, factor)
    if not study.records or not over or not metrics or column(study.trials, over).nunique() < 2:
        return None
    name = equal_cost_metric(study, metrics)
    table = (
        equal_cost_table(study, name, factor=factor, control=control, over=over)
        if study.metrics[name].direction
        else None
    )
    if table is None or table.empty:
        return None
    names = equal_cost_cells(table)
    rows = zip(equal_cost_rows(table), frame_rows(table), strict=True)
    figure = None
    if TRAINING_LOSS in set(table["metric"]):
        figure = drawing.figure(
            "Training loss at equal FLOPs",
            equal_cost_caption(study, factor, over),
            equal_cost_figure(study, factor, over),
        )
    return {
        "caption": EQUAL_COST_CAPTION.format(over=over, control=control),
        "headings": equal_cost_headings(table, over),
        "num_texts": len(names) + 3,
        "rows": [Row(texts, filters.tags({each: row[each] for each in names}, row["arm"])) for texts, row in rows],
        "figure": figure,
    }


def tuning(study: Study, filters: Filters, drawing: PageFigures) -> dict[str, Any] | None:
    """What was tuned for the study's trials."""
    if not study.tuned:
        return None
    tuned = study.tuned
    caption = "Mean over the tuning seeds. A dot is a seed, a ring the best setting, a cross a diverged trial."
    rows = zip(tuning_rows(tuned), tuned.combinations, strict=True)
    return {
        "summary": tuning_words(tuned),
        "study": tuned.study,
        "names": ", ".join(tuned.names),
        "departures": _departures(study, tuned),
        "headings": tuning_headings(tuned),
        "num_texts": len(tuned.factors),
        "rows": [Row(row, filters.tags(each.factors)) for row, each in rows],
        "figure": drawing.figure("Metric against learning rate", caption, tuning_figure(tuned)),
    }


def _departures(study: Study, tuned: Tuned) -> str:
    """How many trials don't use their tuned settings."""
    settings = filter(None, map(study.settings_of, study.trials["key"]))
    own = [tuned.followed_by(each["choices"], each["factors"]) for each in settings]
    return "" if all(own) else f"{own.count(False)} of {len(own)} trials use other settings than the tuned ones."


def parity(study: Study, factor: str, filters: Filters) -> dict[str, Any] | None:
    """What each arm costs; None where that is unknown."""
    if not study.records:
        return None
    table = parity_table(study, factor)
    texts = [name for name in table.columns if name not in COSTS]
    return {
        "headings": [*texts, *COSTS.values()],
        "num_texts": len(texts),
        "rows": [
            Row(
                [*(level_text(row[name]) for name in texts), *(_count(row[name]) for name in COSTS)],
                tags_of(row, study, factor, filters),
            )
            for row in frame_rows(table)
        ],
    }


def tags_of(row: Mapping[str, Any], study: Study, factor: str, filters: Filters) -> str:
    """The tags of a row's cell and arm."""
    return filters.tags({name: row[name] for name in cell_factors(study, factor)}, row["arm"])


def _count(value: float) -> str:
    return "–" if value != value else f"{value:,.0f}"
