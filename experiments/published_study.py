"""A published study, read from experiments/NAME/PROFILE: its trials, its metrics and the verdicts on its claims."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_files import verdicts_table
from skiplab.analysis.claims.verdicts import Verdict, judge
from skiplab.analysis.results.own_series import NO_SERIES
from skiplab.analysis.results.results_study import ResultsStudy
from skiplab.analysis.study.contents import OWN_COLUMNS
from skiplab.analysis.study.study import Study
from skiplab.metrics import Metric
from skiplab.records.statuses import STATUSES
from skiplab.reproduce import Experiment

_COMPARED = ("claim", "claim_conclusion", "cell_conclusion", "role", "metric", "cell", "conclusion", "n")


def published_study(experiment: Experiment, profile: str) -> Study:
    """The study of a published profile. It has no records: nothing is known of it but what was published."""
    folder = experiment.folder / profile
    declared = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    metrics = {name: Metric(**each) for name, each in declared.items()}
    trials = _trials(folder / "trials.csv", metrics)
    return ResultsStudy(
        name=f"{experiment.name}_{profile}",
        runs_dir=folder,
        folder=folder,
        listed_in=(),
        trials=trials,
        missing={},
        factors=_factors(trials, metrics),
        constants={},
        metrics=metrics,
        charts={},
        measured_by={},
        first_starts={},
        records={},
        tuned=None,
        problems=(),
        files={},
        series=NO_SERIES.frames,
    )


def published_verdicts(experiment: Experiment, profile: str, study: Study) -> list[Verdict]:
    """The verdicts on a published study, with the caveats that were published, since those rest on its records.

    Raises:
        SystemExit: the verdicts differ from the published ones.
    """
    verdicts = judge(study, read_claims(experiment.claims(profile)))
    rows = _rows(experiment.folder / profile / "verdicts.csv")
    again = [{name: str(row[name]) for name in _COMPARED} for row in verdicts_table(verdicts).to_dict("records")]
    published = [{name: row[name] for name in _COMPARED} for row in rows]
    if again != published:
        differing = next((pair for pair in zip(published, again, strict=False) if pair[0] != pair[1]), "other rows")
        raise SystemExit(
            f"{study.name}: verdicts.csv isn't what its trials.csv and its claims give now, first {differing}; publish "
            "the study again with experiments/publish.py"
        )
    caveats = published_caveats(experiment, profile)
    return [replace(verdict, caveats=caveats.get(verdict.claim.name, ())) for verdict in verdicts]


def published_caveats(experiment: Experiment, profile: str) -> dict[str, tuple[str, ...]]:
    """The published caveats of each claim."""
    rows = _rows(experiment.folder / profile / "verdicts.csv")
    return {row["claim"]: tuple(row["caveats"].split("; ")) if row["caveats"] else () for row in rows}


def published_control(experiment: Experiment, profile: str) -> str:
    """The arm that the published tables compare with."""
    return _rows(experiment.folder / profile / "table.csv")[0]["control"]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _trials(path: Path, metrics: dict[str, Metric]) -> pd.DataFrame:
    """The trials as `read_study` types them: levels are numbers, else texts in the order in which they are found."""
    trials = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"key": str, "status": str})
    texts = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=str)
    trials["status"] = pd.Categorical(trials["status"], categories=STATUSES)
    for name in _factors(trials, metrics):
        if not pd.api.types.is_numeric_dtype(trials[name]) or pd.api.types.is_bool_dtype(trials[name]):
            levels = list(dict.fromkeys(texts[name].dropna()))
            trials[name] = pd.Categorical(texts[name], categories=levels, ordered=True)
    return trials.assign(error=pd.Series("", index=trials.index, dtype="str"))


def _factors(trials: pd.DataFrame, metrics: dict[str, Metric]) -> tuple[str, ...]:
    return tuple(name for name in trials.columns if name not in {*OWN_COLUMNS, *metrics, "seed"})
