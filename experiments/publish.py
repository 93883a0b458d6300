"""Puts results into the documents: an experiment's figure and table, and the README's tables of options.

    python experiments/publish.py residual_in_diffusion quick    # after the study has run

The figure goes to experiments/NAME/PROFILE.svg, and to experiments/NAME/PROFILE/ what stands behind it: every trial,
the comparison table and the verdicts as CSV, tuned.yaml where rates were tuned, and result.json with the cost, machine,
versions and date. Verdicts and tables go between the `results` marks of experiments/NAME/README.md and, in short, of
README.md where it has them; the options on disk go between the `axes` and the `measurements` marks of README.md, all
experiments between `experiments`.
"""

import argparse
import inspect
import io
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from hydra.utils import get_object
from rich.console import Console

from skiplab.analysis.claims.claims import read_claims
from skiplab.analysis.claims.published import against_study, here_text
from skiplab.analysis.claims.verdict_files import write_verdicts
from skiplab.analysis.claims.verdict_text import headline, render_verdicts
from skiplab.analysis.claims.verdicts import Verdict, judge
from skiplab.analysis.figures.figures import outcome
from skiplab.analysis.figures.palette import to_svg
from skiplab.analysis.study.study import Study, read_study
from skiplab.analysis.tables.parity import COSTS, parity_table
from skiplab.analysis.tables.table_files import write_tables
from skiplab.analysis.tables.tables import asked_metrics, comparison_table
from skiplab.analysis.text import level_text, markdown
from skiplab.records.spreadsheet import csv_text
from skiplab.records.tuned import write_tuned
from skiplab.reproduce import Experiment, experiments

_MOST_ROWS = 120  # of a table in a README
ROOT = Path(__file__).resolve().parents[1]


def between(path: Path, mark: str, text: str) -> None:
    """Replace what stands between <!-- mark --> and <!-- /word -->."""
    word = re.split(r"[ :]", mark)[0]
    pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- /{word} -->)", re.DOTALL)
    content, count = pattern.subn(lambda match: match[1] + text + match[2], path.read_text(encoding="utf-8"))
    if count != 1:
        raise SystemExit(f"{path} must hold the marks <!-- {mark} --> and <!-- /{word} --> once, found {count}")
    path.write_text(content, encoding="utf-8")


def axes() -> str:
    """A row per axis of conf/train.yaml, with its comment and the options on disk."""
    rows = ["| axis | decides | options |\n| --- | --- | --- |\n"]
    for line in (ROOT / "conf" / "train.yaml").read_text(encoding="utf-8").splitlines():
        entry = re.match(r"  - (\w+): (\[.*?\]|\S+)\s*(?:# (.*?)(?:\s+<-.*)?)?$", line)
        if entry and entry[1] != "experiment":
            options = sorted(path.stem for path in (ROOT / "conf" / entry[1]).glob("*.yaml"))
            rows.append(f"| `{entry[1]}` | {entry[3]} | {', '.join(options)} |\n")
    return "".join(rows)


def measurements() -> str:
    """A row per instrument and evaluator on disk, with the first sentence of its docstring."""
    parts = []
    for axis, when in (("instrument", "during training"), ("evaluator", "afterwards, or on any saved record")):
        rows = [f"| {axis} | measures {when} |", "| --- | --- |"]
        for path in sorted((ROOT / "conf" / axis).glob("*.yaml")):
            target = yaml.safe_load(path.read_text(encoding="utf-8"))["_target_"]
            rows.append(f"| `{path.stem}` | {_first_sentence(get_object(target))} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def experiments_table() -> str:
    """A row per experiment: its question, of each claim the first words of its verdict, and profiles not run."""
    rows = ["| experiment | asks | says | not run |", "| --- | --- | --- | --- |"]
    for name, experiment in experiments().items():
        results = {profile: experiment.result(profile) for profile in sorted(experiment.profiles)}
        said = [f"*{profile}*: {_said(result['verdicts'])}" for profile, result in results.items() if result]
        missing = ", ".join(profile for profile, result in results.items() if not result)
        link = f"[{name}](experiments/{name}/README.md)"
        rows.append(f"| {link} | {experiment.question} | {'<br>'.join(said)} | {missing} |")
    return "\n".join(rows) + "\n"


def _said(verdicts: dict[str, str]) -> str:
    words = {claim: re.split(r" in |, | [(]|;", verdict)[0] for claim, verdict in verdicts.items()}
    return "; ".join(f"{claim.replace('_', ' ')} **{word}**" for claim, word in words.items())


def _first_sentence(documented: type) -> str:
    paragraph = inspect.getdoc(documented).split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def in_short(verdicts: Sequence[Verdict]) -> str:
    """A line per claim."""
    return "".join(f"- {verdict.claim.text} **{headline(verdict)}**\n" for verdict in verdicts) + "\n"


def in_full(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as the terminal shows them."""
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_verdicts(verdicts))
    return "```text\n" + "\n".join(line.rstrip() for line in console.export_text().splitlines()) + "\n```\n\n"


def in_markdown(table: pd.DataFrame) -> str:
    """A comparison table, with paragraphs in place of the file's headings."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables(table, Path(folder))
        lines = (Path(folder) / "table.md").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("#")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip() + "\n\n"


def in_part(profile: str, verdicts: Sequence[Verdict], table: pd.DataFrame) -> str:
    """Of many cells: how many of each verdict, and the first metric's table; the rest lies in the profile's folder."""
    words = list(dict.fromkeys(cell.word for verdict in verdicts for cell in verdict.cells))
    rows = [f"| claim | {' | '.join(words)} | verdict |", f"| {' | '.join(['---'] * (len(words) + 2))} |"]
    for verdict in verdicts:
        counts = [str(sum(cell.word == word for cell in verdict.cells)) for word in words]
        rows.append(f"| {verdict.claim.text} | {' | '.join(counts)} | **{headline(verdict)}** |")
    first = in_markdown(table[table["metric"] == table["metric"].iloc[0]])
    verdict_file, table_file = (f"[{name}]({profile}/{name})" for name in ("verdicts.csv", "table.csv"))
    where = f"Each cell's verdict is in {verdict_file}, every metric in {table_file}.\n\n"
    return "cells of each verdict\n\n" + "\n".join(rows) + "\n\n" + first + where


def cost(study: Study) -> str:
    """What the study took, and on what."""
    machines = {
        f"{trained_by(record)}, torch {record['provenance']['versions']['torch']}" for record in study.records.values()
    }
    seconds, where = study.trials["wall_seconds"].sum(), each_on(study)
    return f"Cost: {len(study.trials)} trials, {seconds:.0f} s on {where} each ({' and '.join(sorted(machines))}).\n"


def trained_by(record: dict[str, Any]) -> str:
    """The name of the GPU or of the processor that trained a trial."""
    accelerator = record["factors"]["trainer.accelerator"]
    return record["provenance"]["hardware"]["gpu" if accelerator == "gpu" else "processor"]


def each_on(study: Study) -> str:
    """What each trial had for itself."""
    words = {"cpu": "one thread", "gpu": "a GPU or a share of one"}
    found = {record["factors"]["trainer.accelerator"] for record in study.records.values()}
    return " or ".join(words[accelerator] for accelerator in sorted(found))


def keep(experiment: Experiment, profile: str, study: Study, verdicts: Sequence[Verdict], table: pd.DataFrame) -> None:
    """Write the tables behind the result, what they cost and how far published values agree."""
    folder = experiment.folder / profile
    folder.mkdir(exist_ok=True)
    (folder / "trials.csv").write_text(csv_text(study.trials.drop(columns="error")), encoding="utf-8")
    (folder / "table.csv").write_text(csv_text(table), encoding="utf-8")
    write_verdicts(verdicts, folder)
    found = [record["provenance"] for record in study.records.values()]
    result = {
        "date": max(entry["finished"] for entry in found)[:10],
        "trials": len(found),
        "seeds": study.trials["seed"].nunique(),
        "seconds": round(float(study.trials["wall_seconds"].sum()), 1),
        "each_on": each_on(study),
        "hardware": sorted({trained_by(record) for record in study.records.values()}),
        "versions": {name: entry["versions"][name] for entry in found for name in sorted(entry["versions"])},
        "claims_sha256": verdicts[0].claims_sha256,
        "verdicts": {verdict.claim.name: headline(verdict) for verdict in verdicts},
        "published": {
            each.published.what: f"{here_text(each)}: {each.word}"
            for each in against_study(study, experiment.published, profile)
        },
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if study.tuned:  # without where it was kept
        asked = tuple(word for word in study.tuned.overrides if not word.startswith("run."))
        (folder / "tuned.yaml").write_text(write_tuned(replace(study.tuned, overrides=asked)), encoding="utf-8")


def published(experiment: Experiment) -> str:
    """Every printed value with how it was read, beside ours where the profile that has its counterpart was run."""
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


def costs(study: Study, factor: str, control: str) -> str:
    """What each arm costs over the control in each cell, a row each."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment")
    parser.add_argument("profile")
    parser.add_argument("--control", help="the arm that tables compare with (default: plain)")
    parser.add_argument("--runs-dir", type=Path, default=ROOT / "runs")
    chosen = parser.parse_args()
    experiment = experiments()[chosen.experiment]
    study = read_study(f"{chosen.experiment}_{chosen.profile}", chosen.runs_dir)
    claims = read_claims(experiment.claims(chosen.profile))
    contrast = claims.claims[0].primary.contrast
    factor, control = contrast.factor, chosen.control
    verdicts, metrics = judge(study, claims), asked_metrics(study, claims)
    figure = to_svg(outcome(study, metrics[0], factor))
    (experiment.folder / f"{chosen.profile}.svg").write_text(figure, encoding="utf-8")
    table = comparison_table(study, factor=factor, metrics=metrics, control=control)
    keep(experiment, chosen.profile, study, verdicts, table)
    mark, readme = f"results: {chosen.experiment} {chosen.profile}", experiment.folder / "README.md"
    full = (
        in_full(verdicts) + in_markdown(table) if len(table) <= _MOST_ROWS else in_part(chosen.profile, verdicts, table)
    )
    if control:
        full += costs(study, factor, control)
    full += cost(study)
    between(readme, mark, full)
    if experiment.published:
        between(readme, "published", published(experiment))
    if f"<!-- {mark} -->" in (ROOT / "README.md").read_text(encoding="utf-8"):
        skill = comparison_table(study, factor=factor, metrics=["skill_train"], control=control)
        between(ROOT / "README.md", mark, in_short(verdicts) + in_markdown(skill) + cost(study))
    between(ROOT / "README.md", "axes", axes())
    between(ROOT / "README.md", "measurements", measurements())
    between(ROOT / "README.md", "experiments", experiments_table())


if __name__ == "__main__":
    main()
