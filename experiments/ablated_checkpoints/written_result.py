"""Judges the claims on the ablated checkpoints, and writes tables, figure and README.

The same files as of a published profile (experiments/publish.py), so that `make recheck` computes them again.
"""

import io
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))

from generated_tables import replace_marked
from result_text import table_text, verdict_text

import skiplab
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_files import write_verdicts
from skiplab.analysis.claims.verdict_text import counted_headline
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.figures.palette import KIND_COLORS, frame, log_ticks, panels, share_legend, to_svg
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.metrics import Metric
from skiplab.records.spreadsheet import csv_text

HERE = Path(__file__).parent
FOLDER = HERE / "digits"
FACTOR, METRIC, CONTROL = "shortcuts", "loss_val", "checkpoint"
LOSS = Metric(label="loss at fixed noise, validation images", direction="lower", scale="log")
DRAWN = {"untouched": "kept", "removed_then_tuned": "removed at once", "faded": "fading", "never_had": "never had any"}


def write_result(found: Mapping[int, Mapping[str, Any]]) -> None:
    """Write everything in this folder that follows from the losses.

    Args:
        found: what `study.of_seed` returns, by seed.
    """
    rows = [
        {FACTOR: arm, "seed": seed, METRIC: loss, "wall_seconds": own["seconds"].get(arm, 0.0)}
        for seed, own in found.items()
        for arm, loss in own["losses"].items()
    ]
    results = pd.DataFrame(rows)
    study = skiplab.from_frame(results, arm=FACTOR, metrics={METRIC: LOSS}, name="ablated_checkpoints_digits")
    claims = read_claims(FOLDER / "claims.yaml")
    verdicts = judge(study, claims)
    table = comparison_table(study, factor=FACTOR, metrics=[METRIC], control=CONTROL)
    trials = study.trials.drop(columns="error").assign(wall_seconds=results["wall_seconds"])
    (FOLDER / "trials.csv").write_text(csv_text(trials), encoding="utf-8")
    (FOLDER / "table.csv").write_text(csv_text(table.frame), encoding="utf-8")
    (FOLDER / "metrics.json").write_text(json.dumps({METRIC: vars(LOSS)}, indent=2) + "\n", encoding="utf-8")
    write_verdicts(verdicts, FOLDER)
    curves = pd.DataFrame(
        [
            (seed, arm, int(step), loss)
            for seed, own in found.items()
            for arm, c in own["curves"].items()
            for step, loss in c.items()
        ],
        columns=["seed", FACTOR, "step", METRIC],
    )
    tables = [pd.read_csv(io.StringIO(own["shortcuts"])).assign(seed=seed) for seed, own in found.items()]
    shortcuts = pd.concat(tables, ignore_index=True)
    (FOLDER / "curves.csv").write_text(csv_text(curves), encoding="utf-8")
    (FOLDER / "removed_shortcuts.csv").write_text(csv_text(shortcuts), encoding="utf-8")
    (HERE / "digits.svg").write_text(to_svg(_figure(results, curves, shortcuts)), encoding="utf-8")
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "trials": len(results),
        "seeds": len(found),
        "seconds": round(float(results["wall_seconds"].sum()), 1),
        "each_on": "one thread",
        "hardware": sorted({own["origin"]["hardware"]["processor"] for own in found.values()}),
        "versions": next(iter(found.values()))["origin"]["versions"],
        "claims_sha256": verdicts[0].claims_sha256,
        "verdicts": {verdict.claim.name: counted_headline(verdict) for verdict in verdicts},
        "published": {},
    }
    (FOLDER / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    trained = 2 * len(found)
    cost = (
        f"Cost: {trained} networks trained and {3 * len(found)} copies fine-tuned, {result['seconds']:.0f} s on one "
        f"thread each ({' and '.join(result['hardware'])}, torch {result['versions']['torch']}).\n"
    )
    text = verdict_text(verdicts, "") + table_text(table) + cost
    replace_marked(HERE / "README.md", "results: ablated_checkpoints digits", text)


def _figure(results: pd.DataFrame, curves: pd.DataFrame, shortcuts: pd.DataFrame) -> Figure:
    """Fine-tuning; single shortcuts removed or halved; all of them scaled."""
    figure, axes = panels(3)
    colors = dict(zip(DRAWN, KIND_COLORS, strict=False))
    for arm, own in curves.groupby(FACTOR, sort=False):
        wide = own.pivot(index="step", columns="seed", values=METRIC)
        axes[0].plot(wide.index, np.exp(np.log(wide).mean(axis=1)), color=colors[arm], label=DRAWN[arm])
        axes[0].fill_between(wide.index, wide.min(axis=1), wide.max(axis=1), color=colors[arm], alpha=0.2, linewidth=0)
    never = results.loc[results[FACTOR] == "never_had", METRIC]
    axes[0].axhline(np.exp(np.log(never).mean()), color=colors["never_had"], linestyle="--", label=DRAWN["never_had"])
    frame(axes[0], "Checkpoints trained further", "step", "loss, validation images")
    shortcuts = shortcuts[shortcuts["part"] == "all"].assign(ratio=shortcuts["value"] / shortcuts["untouched"])
    single = shortcuts[(shortcuts["shortcut"] >= 0) & (shortcuts["change"] == "scaled")]
    for color, (factor, label) in zip(KIND_COLORS[4:], ((0, "one removed"), (0.5, "one halved")), strict=False):
        own = single[single["factor"] == factor]
        mean = np.exp(np.log(own.pivot(index="shortcut", columns="seed", values="ratio")).mean(axis=1))
        axes[1].plot(own["shortcut"] + 1, own["ratio"], ".", color=color, alpha=0.5)
        axes[1].plot(mean.index + 1, mean, color=color, label=label)
    frame(axes[1], "One shortcut of a checkpoint", "shortcut", "loss / loss untouched")
    every = shortcuts[shortcuts["shortcut"] < 0].pivot(index="factor", columns="seed", values="ratio")
    every.loc[1.0] = 1.0
    every = every.sort_index()
    axes[2].plot(every.index, every, ".", color=KIND_COLORS[6], alpha=0.5)
    axes[2].plot(every.index, np.exp(np.log(every).mean(axis=1)), color=KIND_COLORS[6], label="all scaled")
    frame(axes[2], "All shortcuts of a checkpoint", "factor of the stream", "loss / loss untouched")
    for ax in axes:
        log_ticks(ax, "y")
    share_legend(figure, axes)
    return figure
