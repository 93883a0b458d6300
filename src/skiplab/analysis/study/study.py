"""A study as tidy data frames, read from the records of its trials; records that can't be read are listed."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from skiplab.analysis.study import study_cache
from skiplab.analysis.study.declarations import read_charts, read_metrics
from skiplab.analysis.study.factors import Factors, find_factors
from skiplab.analysis.study.series import Files, read_series
from skiplab.analysis.study.study_cache import Contents
from skiplab.analysis.study.tuned_study import as_tuned
from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.printable import printable
from skiplab.records.file_names import (
    CLAIMS,
    HISTORY,
    KEYS,
    LAYERS,
    MEASUREMENTS,
    REAL_IMAGES,
    RECORD,
    SAMPLES,
    STUDIES,
    TUNED,
)
from skiplab.records.finished_files import explain_truncated, truncated_files
from skiplab.records.foreign_files import links_out
from skiplab.records.read_records import LazyRecords, Problem, Records, read_records
from skiplab.records.record_schema import FinishedFile, RecordContent
from skiplab.records.statuses import STATUSES
from skiplab.records.study_list import read_keys, study_names
from skiplab.records.timestamps import in_utc
from skiplab.records.tuned import Tuned, read_tuned

_PARITY = ("num_parameters", "flops_per_sample", "activation_bytes_per_sample", "num_layers", "num_joins")
# Columns of a study's trials that are no factors and no metrics.
OWN_COLUMNS = ("key", "status", "step", "diverged_step", "error", "wall_seconds", *_PARITY)
_TRIAL_FILES = (RECORD, HISTORY.file, LAYERS.file, MEASUREMENTS.file, SAMPLES, REAL_IMAGES)


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """The trials of one study, or of several that are read as one.

    listed_in: the folders of the studies.
    trials: one row per trial, with key, status, the factors that vary, seed, the metrics, step, diverged_step, error,
        wall_seconds and the costs of the network.
    missing: why a trial has no value of a metric, by key and metric.
    factors: the names of the factors that vary, axes first, without seed.
    constants: the choices and settings that all trials share.
    metrics: the metrics of all summaries, and those that diverged trials should have had.
    charts: the charts in the order of their declarations.
    measured_by: who measured each chart, such as 'evaluator linear_probe'.
    first_starts: when each trial was first started, an ISO text in UTC by key.
    records: the records by key.
    tuned: the result of tuning, from tuned.yaml in the study's folder; None if there is none.
    problems: parts of the list and the records that can't be read, and truncated files.
    files: the lengths and hashes of each trial's finished files, by key.
    arm_column: of a table of results that skiplab has no records of, the factor that names the arms; else None.
    """

    name: str
    runs_dir: Path
    folder: Path
    listed_in: tuple[Path, ...]
    trials: pd.DataFrame
    missing: Mapping[str, Mapping[str, str]]
    factors: tuple[str, ...]
    constants: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    charts: Mapping[str, Chart]
    measured_by: Mapping[str, str]
    first_starts: Mapping[str, str]
    records: Records
    tuned: Tuned | None
    problems: tuple[Problem, ...]
    files: Files
    arm_column: str | None = None

    @property
    def has_numbers(self) -> bool:
        """Whether any trial has a value of a metric, measured or given to it because it diverged."""
        counted = any(isinstance(metric.if_diverged, int | float) for metric in self.metrics.values())
        diverged = counted and (self.trials["status"] == "diverged").any()
        return bool(diverged or self.trials[list(self.metrics)].notna().to_numpy().any())

    @property
    def history(self) -> pd.DataFrame:
        """The values of each step: key, step, metric, value."""
        return self._history[0]

    @property
    def layers(self) -> pd.DataFrame:
        """The readings of instruments: key, step, index, path, quantity, value."""
        return self._layers[0]

    @property
    def measurements(self) -> pd.DataFrame:
        """The values in evaluators' charts: key, evaluator, chart, line, x, y, value; y may be nan."""
        return self._measurements[0]

    @property
    def series_problems(self) -> tuple[Problem, ...]:
        """Parts of the histories, readings and measurements that can't be read; reads them all."""
        return (*self._history[1], *self._layers[1], *self._measurements[1])

    @cached_property
    def _history(self) -> tuple[pd.DataFrame, list[Problem]]:
        return read_series(self.runs_dir, list(self.records), HISTORY, self.files)

    @cached_property
    def _layers(self) -> tuple[pd.DataFrame, list[Problem]]:
        return read_series(self.runs_dir, list(self.records), LAYERS, self.files)

    @cached_property
    def _measurements(self) -> tuple[pd.DataFrame, list[Problem]]:
        return read_series(self.runs_dir, list(self.records), MEASUREMENTS, self.files)


def read_study(name: str, runs_dir: Path) -> Study:
    """Read the records of a study, or of several studies as one, 'A,B'.

    Several studies have the trials of all, each once; tables and figures of them go to a folder of their own. The
    result of tuning for one of them doesn't count for all. Nothing but the cache is written.

    Raises:
        SkiplabError: if there is no such study, or a metric is named like a factor.
    """
    runs_dir = Path(runs_dir)
    folders = _study_folders(name, runs_dir)
    folder = runs_dir / STUDIES / name
    if found := links_out(folder):
        raise SkiplabError(
            f"{found[0]} is a link that leads out of its folder, where tables of a study are written; remove it, or "
            "put a copy of the file in its place"
        )
    keys, bad_keys = _read_keys(folders)
    tuned, bad_tuned = _read_tuned(folder / TUNED)
    state = study_cache.state_of(folder, runs_dir, keys)
    contents = study_cache.load(folder, state)
    if contents is None:
        records, bad_records = read_records(runs_dir, keys)
        contents = _contents(records, tuned, bad_records)
        study_cache.store(folder, state, contents)
    else:
        records = LazyRecords(runs_dir, contents.trials["key"])
    parts = contents._asdict()
    truncated = _truncated(runs_dir, contents.files, records)
    parts["problems"] = (*bad_keys, *contents.problems, *truncated, *bad_tuned)
    return Study(
        name=name,
        runs_dir=runs_dir,
        folder=folder,
        listed_in=tuple(folders),
        records=records,
        tuned=tuned,
        **parts,
    )


def _truncated(runs_dir: Path, files: Mapping[str, dict[str, FinishedFile]], records: Records) -> list[Problem]:
    """Files of finished trials that are shorter than their records say; only the records of those are read."""
    keys = [key for key, lengths in files.items() if any(truncated_files(f"{runs_dir}/{key}", lengths))]
    found = ((runs_dir / key, *each) for key in keys for each in explain_truncated(runs_dir / key, records[key]))
    return [Problem(str(folder / name), reason) for folder, name, reason in found]


def _contents(records: Records, tuned: Tuned | None, bad_records: Sequence[Problem]) -> Contents:
    """What the records say."""
    metrics, bad_metrics = read_metrics(records)
    charts, bad_charts = read_charts(records)
    found = find_factors(as_tuned(records, tuned))
    return Contents(
        trials=_trials(records, found, metrics),
        missing={key: record["missing"] for key, record in records.items() if record["missing"]},
        factors=tuple(found.varying.columns),
        constants=found.constants,
        metrics=metrics,
        charts=charts.declared,
        measured_by=charts.measured_by,
        problems=(*bad_records, *bad_metrics, *bad_charts),
        first_starts={key: _first_start(record) for key, record in records.items()},
        files={key: record["files"] for key, record in records.items() if record["files"]},
    )


def _first_start(record: RecordContent) -> str:
    return in_utc(record["provenance"]["first_started"]).isoformat()


def study_files(name: str, runs_dir: Path) -> list[Path]:
    """The existing files of a study and its trials that the analysis reads.

    Raises:
        SkiplabError: if there is no such study.
    """
    folders = _study_folders(name, runs_dir)
    keys, _ = _read_keys(folders)
    lists = [folder / name for folder in folders for name in (KEYS, TUNED)]
    claims = [folder / CLAIMS for folder in dict.fromkeys([*folders, runs_dir / STUDIES / name])]
    trials = [runs_dir / key / name for key in keys for name in _TRIAL_FILES]
    return [path for path in (*lists, *claims, *trials) if path.exists()]


def _study_folders(name: str, runs_dir: Path) -> list[Path]:
    names = study_names(runs_dir)
    asked = [name] if name in names else [part.strip() for part in name.split(",")]
    for each in asked:
        _check_study(each, names, runs_dir)
    return [runs_dir / STUDIES / each for each in asked]


def _check_study(name: str, names: Sequence[str], runs_dir: Path) -> None:
    if name in names:
        return
    if not names:
        raise SkiplabError(
            f"no study {printable(name)!r}: {runs_dir} holds no studies; train one with "
            f"run.study={printable(name)}, or name another folder with --runs-dir"
        )
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {printable(close[0])!r}?" if close else ""
    raise SkiplabError(f"no study {printable(name)!r} in {runs_dir}; valid: {printable(', '.join(names))}{hint}")


def _read_keys(folders: Sequence[Path]) -> tuple[list[str], list[Problem]]:
    keys: dict[str, None] = {}
    problems = []
    for folder in folders:
        found = read_keys(folder)
        keys |= dict.fromkeys(found.keys)
        problems += [
            Problem(str(folder / KEYS), f"{printable(each)!r} is no key of a trial (16 of 0-9a-f)")
            for each in found.invalid
        ]
    return list(keys), problems


def _read_tuned(path: Path) -> tuple[Tuned | None, list[Problem]]:
    if not path.exists():
        return None, []
    try:
        return read_tuned(path), []
    except SkiplabError as error:
        return None, [Problem(str(path), printable(error))]


def _trials(records: Records, found: Factors, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    taken = [*OWN_COLUMNS, "seed", "arm", *found.varying.columns]
    if clash := [name for name in metrics if name in taken]:
        raise SkiplabError(
            f"the metric {printable(clash[0])!r} is named like a factor or a column of the record; "
            "valid: any other name; rename it in the evaluator or instrument that measures it"
        )
    frame = pd.DataFrame({"key": list(records)}).set_index("key", drop=False).rename_axis(None)
    content = list(records.values())
    frame["status"] = pd.Categorical([record["status"] for record in content], categories=STATUSES)
    frame = frame.join(found.varying)
    frame["seed"] = [record["factors"]["seed"] for record in content]
    for name in metrics:
        frame[name] = [_float(record["summary"].get(name)) for record in content]
    frame["step"] = [float(record["step"]) for record in content]
    frame["diverged_step"] = [_float(record["diverged_step"]) for record in content]
    frame["error"] = pd.Series([record["error"] or "" for record in content], index=frame.index, dtype="str")
    frame["wall_seconds"] = [record["provenance"]["wall_seconds"] for record in content]
    for name in _PARITY:
        frame[name] = [_float(record["parity"][name]) for record in content]
    return frame.reset_index(drop=True)


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)
