"""The trials of the page: a table of all, and why some went wrong."""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd

from skiplab.analysis.frames import column, frame_rows
from skiplab.analysis.page.page_tables import tags_of
from skiplab.analysis.study.arms import cell_factors, with_arms
from skiplab.analysis.study.filters import Filters
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text, level_text, number
from skiplab.metrics import missing_text
from skiplab.printable import printable

_MOST_METRICS = 4
_MOST_UNFINISHED = 500


def page_trials(
    study: Study, factor: str, metrics: Sequence[str], filters: Filters, *, has_links: bool
) -> dict[str, Any]:
    """A row for each trial: its arm and cell, how it ended, and its first metrics.

    has_links: whether the page lies beside the records, so that it can lead to them.
    """
    names, shown = cell_factors(study, factor), list(metrics[:_MOST_METRICS])
    folder = quote(os.path.relpath(study.runs_dir, study.folder)) if has_links and study.records else ""
    rows = []
    for trial in frame_rows(with_arms(study, factor)):
        record = study.records.get(trial["key"]) if folder else None
        rows.append(
            {
                "key": trial["key"],
                "record": f"{folder}/{quote(trial['key'])}/" if record else "",
                "wandb": f"{folder}/{quote(trial['key'])}/wandb/" if _has_wandb(record) else "",
                "texts": [trial["arm"], *(level_text(trial[name]) for name in names), level_text(trial["seed"])],
                "status": trial["status"],
                "numbers": [(number(trial[name]), trial[name]) for name in (*shown, "wall_seconds")],
                "tags": tags_of(trial, study, factor, filters),
            }
        )
    return {
        "texts": [factor, *names, "seed"],
        "numbers": [*shown, "seconds"],
        "rows": rows,
        "has_wandb": any(row["wandb"] for row in rows),
    }


def unfinished(study: Study, factor: str, filters: Filters) -> list[dict[str, str]]:
    """Each trial that isn't done or lacks a number, with the reason, up to a number that one can read."""
    names, trials = [*study.factors, "seed"], with_arms(study, factor)
    found = []
    for trial in frame_rows(trials.loc[_needs_reason(study)].head(_MOST_UNFINISHED)):
        record = study.records.get(trial["key"])
        because = (record and record["diverged_because"]) or ""
        at = "" if pd.isna(trial["diverged_step"]) else f" at step {trial['diverged_step']:.0f}"
        reasons = {
            "done": missing_text(study.missing.get(trial["key"], {})),
            "diverged": f"diverged{at}{because and f': {because}'}",
            "running": "running, or killed before its end; the same command resumes it",
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
                "tags": tags_of(trial, study, factor, filters),
            }
        )
    return found


def unlisted(study: Study) -> int:
    """How many more trials than `unfinished` has aren't done or lack a number."""
    return max(0, int(_needs_reason(study).sum()) - _MOST_UNFINISHED)


def _needs_reason(study: Study) -> pd.Series:
    return column(study.trials, "status").ne("done") | column(study.trials, "key").isin(list(study.missing))


def _has_wandb(record: Mapping[str, Any] | None) -> bool:
    return record is not None and record["provenance"]["wandb_id"] is not None
