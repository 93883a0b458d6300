"""A study as tidy frames, read from the records of its trials; what can't be read is listed, never fatal."""

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
from skiplab.analysis.study.series import read_series
from skiplab.analysis.study.study_cache import Contents
from skiplab.analysis.study.tuned_study import as_tuned
from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.printable import printable
from skiplab.records.first_start import first_start
from skiplab.records.foreign_files import links_out, read_keys
from skiplab.records.read_records import STATUSES, LaterRecords, Problem, Record, is_number, read_records
from skiplab.records.record_files import cut_off, explain_cut_off
from skiplab.records.tuned import Tuned, read_tuned

_PARITY = ("num_parameters", "flops_per_sample", "activation_bytes_per_sample", "num_layers", "num_joins")
_FILES = ("record.json", "history.csv", "layers.csv", "measurements.csv", "samples.png")


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """What the trials of one study left on disk.

    listed_in: the folders of the studies that list them, of which there may be several.
    trials: a row a trial: key, status, every factor that varies, seed, the summary's metrics, step,
        diverged_step, error, wall_seconds and the costs of the parity report.
    missing: for each key, why numbers of that trial are missing that were to be measured, by metric.
    factors: the names of the factors that vary, axes first; seed is none of them.
    constants: the value of every choice and setting that all trials share.
    metrics: the declaration of every metric of a summary, and of what trials that diverged were to be measured by.
    charts: the declaration of every chart, in the order in which they are declared.
    measured_by: who measured each chart, such as 'evaluator linear_probe'.
    first_starts: when each trial was first begun, an ISO text in UTC by key, where its record says.
    records: the content of record.json by key.
    tuned: what was tuned for it, from the copy of tuned.yaml in its folder; None where there is none.
    problems: what of the study's list and records could not be read, and files of theirs that were cut off.
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
    records: Mapping[str, Mapping[str, Any]]
    tuned: Tuned | None
    problems: tuple[Problem, ...]

    @property
    def has_numbers(self) -> bool:
        """Whether any trial has a number: one that was measured at its end, or what it counts with as it diverged."""
        counted = any(isinstance(metric.if_diverged, int | float) for metric in self.metrics.values())
        diverged = counted and (self.trials["status"] == "diverged").any()
        return bool(diverged or self.trials[list(self.metrics)].notna().any(axis=None))

    @property
    def history(self) -> pd.DataFrame:
        """What was logged at each step: key, step, metric, value."""
        return self._history[0]

    @property
    def layers(self) -> pd.DataFrame:
        """What the instruments read: key, step, index, path, quantity, value."""
        return self._layers[0]

    @property
    def measurements(self) -> pd.DataFrame:
        """What the evaluators' charts show: key, evaluator, chart, line, x, y, value; y is nan where there is none."""
        return self._measurements[0]

    @property
    def series_problems(self) -> tuple[Problem, ...]:
        """What of the histories, layer readings and measurements could not be read; reads them all."""
        found = (*self._history[1], *self._layers[1], *self._measurements[1])
        return tuple(Problem(*each) for each in found)

    @cached_property
    def _history(self) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
        return read_series(self.runs_dir, list(self.records), "history.csv")

    @cached_property
    def _layers(self) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
        return read_series(self.runs_dir, list(self.records), "layers.csv")

    @cached_property
    def _measurements(self) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
        return read_series(self.runs_dir, list(self.records), "measurements.csv")


def read_study(name: str, runs_dir: Path) -> Study:
    """Read the records that a study lists, or several do.

    Several, 'A,B', are read as one that lists the trials of all, each once; what is written of it goes to a folder of
    its own, which lists none. What was tuned for one of them is not known of all. Nothing but the cache is written.

    Raises:
        SkiplabError: where there is no such study, or a metric is named like a factor.
    """
    runs_dir = Path(runs_dir)
    folders = _study_folders(name, runs_dir)
    folder = runs_dir / "studies" / name
    if found := links_out(folder):
        raise SkiplabError(
            f"{found[0]} is a link that leads out of its folder, where tables of a study are written; remove it, or "
            "put a copy of the file in its place"
        )
    keys, bad_keys = _read_keys(folders)
    tuned, bad_tuned = _read_tuned(folder / "tuned.yaml")
    state = study_cache.state_of(folder, runs_dir, keys)
    contents = study_cache.load(folder, state)
    if contents is None:
        records, bad_records = read_records(runs_dir, keys)
        contents = _contents(records, tuned, bad_records)
        study_cache.store(folder, state, contents)
    else:
        records = LaterRecords(runs_dir, contents.trials["key"])
    parts = contents._asdict()
    lost = _cut_off(runs_dir, parts.pop("files"), records)
    parts["problems"] = (*bad_keys, *contents.problems, *lost, *bad_tuned)
    return Study(
        name=name,
        runs_dir=runs_dir,
        folder=folder,
        listed_in=tuple(folders),
        records=records,
        tuned=tuned,
        **parts,
    )


def _cut_off(runs_dir: Path, files: Mapping[str, Any], records: Mapping[str, Record]) -> list[Problem]:
    """Files of finished trials that are shorter than their records say; only those trials' records are asked."""
    lost = [key for key, kept in files.items() if any(cut_off(f"{runs_dir}/{key}", kept))]
    found = ((runs_dir / key, *each) for key in lost for each in explain_cut_off(runs_dir / key, records[key]))
    return [Problem(str(folder / name), reason) for folder, name, reason in found]


def _contents(records: Mapping[str, Record], tuned: Tuned | None, bad_records: Sequence[Problem]) -> Contents:
    """What is worked out of the records."""
    metrics, bad_metrics = read_metrics(records)
    charts, bad_charts = read_charts(records)
    found = find_factors(as_tuned(records, tuned))
    return Contents(
        trials=_trials(records, found, metrics),
        missing={key: _reasons(record["missing"]) for key, record in records.items() if record["missing"]},
        factors=tuple(found.varying.columns),
        constants=found.constants,
        metrics=metrics,
        charts=charts.declared,
        measured_by=charts.measured_by,
        problems=(*bad_records, *(Problem(*each) for each in (*bad_metrics, *bad_charts))),
        first_starts={key: start.isoformat() for key, record in records.items() if (start := first_start(record))},
        files={key: record["files"] for key, record in records.items() if record.get("files")},
    )


def _reasons(missing: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(why) for name, why in missing.items()}


def study_files(name: str, runs_dir: Path) -> list[Path]:
    """Every file there is of a study and its trials that analysis reads.

    Raises:
        SkiplabError: where there is no such study.
    """
    folders = _study_folders(name, runs_dir)
    keys, _ = _read_keys(folders)
    lists = [folder / name for folder in folders for name in ("keys.txt", "tuned.yaml")]
    claims = [folder / "claims.yaml" for folder in dict.fromkeys([*folders, runs_dir / "studies" / name])]
    trials = [runs_dir / key / name for key in keys for name in _FILES]
    return [path for path in (*lists, *claims, *trials) if path.exists()]


def _study_folders(name: str, runs_dir: Path) -> list[Path]:
    studies = runs_dir / "studies"
    names = sorted(path.parent.name for path in studies.glob("*/keys.txt"))
    asked = [name] if name in names else [part.strip() for part in name.split(",")]
    for each in asked:
        _check_study(each, names, runs_dir)
    return [studies / each for each in asked]


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
    for path in (folder / "keys.txt" for folder in folders):
        try:
            found, others = read_keys(path)
        except (OSError, ValueError) as error:
            raise SkiplabError(f"{path} can't be read: {printable(error)}; it lists a study's trials") from None
        keys |= dict.fromkeys(found)
        problems += [Problem(str(path), f"{printable(each)!r} is no key of a trial (16 of 0-9a-f)") for each in others]
    return list(keys), problems


def _read_tuned(path: Path) -> tuple[Tuned | None, list[Problem]]:
    if not path.exists():
        return None, []
    try:
        return read_tuned(path), []
    except SkiplabError as error:
        return None, [Problem(str(path), printable(error))]


def _trials(records: Mapping[str, Mapping[str, Any]], found: Factors, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    own = ["key", "status", "step", "diverged_step", "error", "wall_seconds", *_PARITY]
    taken = [*own, "seed", "arm", *found.varying.columns]
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
    frame["step"] = [_float(record.get("step")) for record in content]
    frame["diverged_step"] = [_float(record.get("diverged_step")) for record in content]
    frame["error"] = pd.Series([record.get("error") or "" for record in content], index=frame.index, dtype="str")
    frame["wall_seconds"] = [_float(record["provenance"].get("wall_seconds")) for record in content]
    for name in _PARITY:
        frame[name] = [_float(record["parity"].get(name)) for record in content]
    return frame.reset_index(drop=True)


def _float(value: Any) -> float:
    return float(value) if is_number(value) else float("nan")
