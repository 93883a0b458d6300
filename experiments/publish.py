"""Puts a study's result into the documents: its figure, its tables and its verdicts.

    python experiments/publish.py residual_in_diffusion quick    # after the study has run

The figure becomes experiments/NAME/PROFILE.svg. The folder experiments/NAME/PROFILE/ gets every trial, the comparison
table and the verdicts as CSV, the declarations of the metrics, tuned.yaml if settings were tuned, and result.json with
cost, machine, versions and date. A study that went on from published trials is published with them. From these files
write_results.py puts verdicts and tables into the documents.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from generated_tables import ROOT, write_generated_tables
from result_text import each_on, trained_by
from write_results import write_documents

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.published import against_study, here_text
from skiplab.analysis.claims.verdict_files import write_verdicts
from skiplab.analysis.claims.verdict_text import counted_headline
from skiplab.analysis.claims.verdicts import Verdict, judge
from skiplab.analysis.figures.figures import outcome
from skiplab.analysis.figures.palette import to_svg
from skiplab.analysis.study.study import Study, read_study
from skiplab.analysis.tables.comparison import metrics_of_claims
from skiplab.analysis.tables.comparison_table import ComparisonTable, comparison_table
from skiplab.records.spreadsheet import csv_text
from skiplab.records.tuned import write_tuned
from skiplab.reproduce import Experiment, PublishedResult, TrainedPart, experiments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment")
    parser.add_argument("profile")
    parser.add_argument("--control", help="the arm that tables compare with (default: plain)")
    parser.add_argument("--runs-dir", type=Path, default=ROOT / "runs")
    given = parser.parse_args()
    publish(experiments()[given.experiment], given.profile, given.control, given.runs_dir)


def publish(experiment: Experiment, profile: str, control: str | None, runs_dir: Path) -> None:
    """Write a profile's figure, tables and result, and put them into the documents."""
    study, claims = read_study(f"{experiment.name}_{profile}", runs_dir), read_claims(experiment.claims(profile))
    factor = claims.factor
    verdicts, metrics = judge(study, claims), metrics_of_claims(study, claims)
    table = comparison_table(study, factor=factor, metrics=metrics, control=control)
    figure = to_svg(outcome(study, metrics[0], factor))
    (experiment.folder / f"{profile}.svg").write_text(figure, encoding="utf-8")
    write_result(experiment, profile, study, verdicts, table)
    write_documents(experiment, profile)
    write_generated_tables()


def write_result(
    experiment: Experiment, profile: str, study: Study, verdicts: Sequence[Verdict], table: ComparisonTable
) -> None:
    """Write the tables behind a result, its cost, and how it compares with values that papers printed."""
    folder = experiment.folder / profile
    folder.mkdir(exist_ok=True)
    (folder / "trials.csv").write_text(csv_text(study.trials.drop(columns="error")), encoding="utf-8")
    (folder / "table.csv").write_text(csv_text(table.frame), encoding="utf-8")
    declared = {name: vars(metric) for name, metric in study.metrics.items()}
    (folder / "metrics.json").write_text(json.dumps(declared, indent=2) + "\n", encoding="utf-8")
    write_verdicts(verdicts, folder)
    found = [record["provenance"] for record in study.records.values()]
    before = parts_before(study)
    result: PublishedResult = {
        "date": max(entry["finished"] for entry in found)[:10],
        "trials": len(study.trials),
        "seeds": int(study.trials["seed"].nunique()),
        "seconds": round(float(study.trials["wall_seconds"].sum()), 1),
        "each_on": each_on(study),
        "hardware": sorted(
            {trained_by(record) for record in study.records.values()}.union(*(part["hardware"] for part in before))
        ),
        "versions": {name: entry["versions"][name] for entry in found for name in sorted(entry["versions"])},
        **({"went_on_from": before} if before else {}),
        "claims_sha256": verdicts[0].claims_sha256,
        "verdicts": {verdict.claim.name: counted_headline(verdict) for verdict in verdicts},
        "published": {
            each.published.what: f"{here_text(each)}: {each.agreement}"
            for each in against_study(study, experiment.published, profile)
        },
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if study.tuned:  # without paths of this machine
        overrides = tuple(word for word in study.tuned.overrides if not word.startswith("run."))
        (folder / "tuned.yaml").write_text(write_tuned(replace(study.tuned, overrides=overrides)), encoding="utf-8")


def parts_before(study: Study) -> list[TrainedPart]:
    """The published trials that a study went on from, without those that it trained again."""
    if study.published is None:
        return []
    own = study.published.trials.loc[lambda trials: ~trials["key"].isin(list(study.records))]
    result = study.published.result
    earlier: list[TrainedPart] = result.get("went_on_from", [])
    last: TrainedPart = {
        "date": result["date"],
        "trials": len(own) - sum(part["trials"] for part in earlier),
        "seconds": round(float(own["wall_seconds"].sum()) - sum(part["seconds"] for part in earlier), 1),
        "hardware": result["hardware"],
        "versions": result["versions"],
    }
    return [*earlier, *([last] if last["trials"] else [])]


if __name__ == "__main__":
    main()
