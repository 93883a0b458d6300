"""A published result as text of a README: verdicts, tables, costs, and values that papers printed."""

import io
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from skiplab.analysis.claims.next_step import next_step
from skiplab.analysis.claims.verdict_sentence import verdict_sentence
from skiplab.analysis.claims.verdict_terminal import render_verdicts
from skiplab.analysis.claims.verdict_text import badge, qualifiers, shared_caveats
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.comparison_table import ComparisonTable
from skiplab.analysis.tables.parity import COSTS, parity_table
from skiplab.analysis.tables.table_files import write_tables
from skiplab.analysis.text import level_text, markdown
from skiplab.reproduce import Experiment, PublishedResult


def badges_text(verdicts: Sequence[Verdict]) -> str:
    """What limits all verdicts, and a line for each claim with its verdict."""
    shared = shared_caveats(verdicts)
    said = f"{qualifiers(verdicts)}\n\n".lstrip()
    rows = [f"| {verdict.claim.text} | {badge(verdict, shared)} |\n" for verdict in verdicts]
    return f"{said}| claim | verdict |\n| --- | --- |\n{''.join(rows)}"


def sentences_text(verdicts: Sequence[Verdict], decide: str) -> str:
    """What limits all verdicts, and for each claim its verdict, the sentence that says why, and what would decide it.

    decide: the command that adds seeds, for readers who have no trials yet.
    """
    shared = shared_caveats(verdicts)
    lines = [f"{qualifiers(verdicts)}\n\n".lstrip()]
    for verdict in verdicts:
        lines.append(f"- {verdict.claim.text} **{badge(verdict, shared)}**: {markdown(verdict_sentence(verdict))}\n")
        if step := next_step(verdict, decide, "`"):
            lines.append(f"  {step}\n")
    return "".join(lines)


def verdict_text(verdicts: Sequence[Verdict], decide: str) -> str:
    """The verdicts in sentences, and folded below them their tests and evidence as the terminal shows them."""
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_verdicts(verdicts, details=True))
    tests = "\n".join(line.rstrip() for line in console.export_text().splitlines())
    return (
        f"{sentences_text(verdicts, decide)}\n{_folded('Tests and evidence', f'```text{chr(10)}{tests}{chr(10)}```')}"
    )


def _folded(title: str, text: str) -> str:
    """Markdown that a reader may unfold."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>\n\n"


def table_text(table: ComparisonTable) -> str:
    """A comparison table in Markdown, without headings."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables(table, Path(folder))
        lines = (Path(folder) / "table.md").read_text(encoding="utf-8").splitlines()
    paragraphs = "\n".join(line for line in lines if not line.startswith("#"))
    return re.sub(r"\n{3,}", "\n\n", paragraphs).strip() + "\n\n"


def summary_text(profile: str, verdicts: Sequence[Verdict], table: ComparisonTable, decide: str) -> str:
    """For many cells: how many cells have each verdict, and the table of the first metric; the files hold the rest."""
    shared = shared_caveats(verdicts)
    words = list(dict.fromkeys(cell.conclusion for verdict in verdicts for cell in verdict.cells))
    rows = [f"| claim | {' | '.join(words)} | verdict |", f"| {' | '.join(['---'] * (len(words) + 2))} |"]
    for verdict in verdicts:
        counts = [str(sum(cell.conclusion == word for cell in verdict.cells)) for word in words]
        rows.append(f"| {verdict.claim.text} | {' | '.join(counts)} | **{badge(verdict, shared)}** |")
    first = table_text(next(iter(table.by_metric.values())))
    verdict_file, table_file = (f"[{name}]({profile}/{name})" for name in ("verdicts.csv", "table.csv"))
    where = f"Each cell's verdict is in {verdict_file}, every metric in {table_file}.\n\n"
    return f"{sentences_text(verdicts, decide)}\ncells of each verdict\n\n" + "\n".join(rows) + "\n\n" + first + where


def cost_text(result: PublishedResult) -> str:
    """How long the study took, and on which machines."""
    machines = " and ".join(f"{name}, torch {result['versions']['torch']}" for name in result["hardware"])
    cost = f"Cost: {result['trials']} trials, {result['seconds']:.0f} s on {result['each_on']} each ({machines})"
    before = [
        f"{part['trials']} trials, {part['seconds']:.0f} s, {part['date']}" for part in result.get("went_on_from", [])
    ]
    return f"{cost}; it went on from {' and '.join(before)}.\n" if before else f"{cost}.\n"


def trained_by(record: dict[str, Any]) -> str:
    """The name of the GPU or of the processor that trained a trial."""
    accelerator = record["factors"]["trainer.accelerator"]
    return record["provenance"]["hardware"]["gpu" if accelerator == "gpu" else "processor"]


def each_on(study: Study) -> str:
    """What each trial ran on."""
    words = {"cpu": "one thread", "gpu": "a GPU or a share of one"}
    settings = filter(None, map(study.settings_of, study.trials["key"]))
    found = {each["factors"]["trainer.accelerator"] for each in settings}
    return " or ".join(words[accelerator] for accelerator in sorted(found))


def published_text(experiment: Experiment) -> str:
    """Each value that a paper printed and where it was read, beside ours if the comparable profile was run."""
    rows = ["| published | value | read from | counterpart | here |", "| --- | --- | --- | --- | --- |"]
    for row in experiment.published:
        counterpart, here = "–", "–"
        if row.profile:
            result = experiment.result(row.profile) or {"published": {}}
            counterpart = f"{row.profile}: {row.metric_here} {row.value_here:g} ± {row.tolerance:g}"
            here = result["published"].get(row.what, "not run")
        texts = (row.what, f"{row.value} {row.unit}", row.read_from, counterpart, here)
        rows.append(f"| {' | '.join(markdown(text) for text in texts)} |")
    return "\n".join(rows) + "\n"


def arm_costs_text(study: Study, factor: str, control: str) -> str:
    """The cost of each arm in each cell, as a ratio to the control's."""
    frame = parity_table(study, factor)
    names = ["num_parameters", "flops_per_sample", "activation_bytes_per_sample"]
    texts = [name for name in frame.columns if name not in COSTS]
    rows = [
        f"| {' | '.join([*texts, *(COSTS[name] for name in names)])} |",
        f"| {' | '.join(['---'] * len(texts + names))} |",
    ]
    for _, own in frame.groupby(texts[:-1]) if texts[:-1] else [((), frame)]:
        base = own[own["arm"] == control].iloc[0]
        for row in own.to_dict("records"):
            ratios = [f"{row[name] / base[name]:.3g}" for name in names]
            rows.append(f"| {' | '.join([*(level_text(row[name]) for name in texts), *ratios])} |")
    return f"cost over {control}'s\n\n" + "\n".join(rows) + "\n\n"
