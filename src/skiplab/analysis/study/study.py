"""A study: its trials as tidy data frames, and what can be asked of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from skiplab.analysis.study import study_cache
from skiplab.analysis.study.contents import read_contents
from skiplab.analysis.study.published_trials import PublishedTrials, read_published_trials
from skiplab.analysis.study.series import Files, read_series
from skiplab.analysis.study.study_lists import listed_keys, study_folders, tuned_of
from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.records.file_names import HISTORY, LAYERS, MEASUREMENTS, PUBLISHED, STUDIES, TUNED
from skiplab.records.finished_files import explain_truncated, truncated_files
from skiplab.records.foreign_files import links_out
from skiplab.records.read_records import LazyRecords, Problem, Records, read_records
from skiplab.records.record_schema import FinishedFile, TrialSettings
from skiplab.records.tuned import Tuned

LOSS = "loss"  # the metric of a history that is the training loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from skiplab.analysis.claims.verdict_list import Verdicts
    from skiplab.analysis.tables.comparison_table import ComparisonTable


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Study:
    """The trials of one study, or of several that are read as one.

    `skiplab.read_study` reads one that was trained, `skiplab.study` trains one, `skiplab.from_frame` makes one of a
    table of your own results. What follows is the same for all:

        study.trials, study.history, study.layers      data frames: a row for each trial, logged value, reading
        study.table("skill_train")                     arms against the control, paired by seed, in each cell
        study.verdicts()                               what the study says about its claims
        study.compare("skill_train")                   one question, without a claims file
        study.figure("headline"), study.figure_names   figures of matplotlib
        study.report()                                 everything on one HTML page

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
    published: the published trials that it goes on from, of which those without a record here are among its trials.
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
    published: PublishedTrials | None = None
    arm_column: str | None = None

    @property
    def has_numbers(self) -> bool:
        """Whether any trial has a value of a metric, measured or given to it because it diverged."""
        counted = any(isinstance(metric.if_diverged, int | float) for metric in self.metrics.values())
        diverged = counted and (self.trials["status"] == "diverged").any()
        return bool(diverged or self.trials[list(self.metrics)].notna().to_numpy().any())

    @cached_property
    def num_without_record(self) -> int:
        """How many of the trials that the study lists have no record that can be read, such as those not yet begun."""
        return len(set(listed_keys(self.listed_in)[0]).difference(self.trials["key"]))

    @property
    def is_of_commands(self) -> bool:
        """Whether commands can train more of it: not a table of results, nor a LightningModule, which Python trains."""
        return self.arm_column is None and "module" not in (*self.factors, *self.constants)

    def settings_of(self, key: str) -> TrialSettings | None:
        """The options and settings of a trial; None for a row of a table of results."""
        return self.records.get(key) or (self.published.settings.get(key) if self.published else None)

    @property
    def history(self) -> pd.DataFrame:
        """The values of each step: key, step, metric, value."""
        return self._history[0]

    @cached_property
    def losses(self) -> pd.DataFrame:
        """The history's training losses: key, step, value; without all else that large studies have no memory for."""
        read = "_history" in self.__dict__
        history = self.history if read else read_series(self.runs_dir, list(self.records), HISTORY, self.files, LOSS)[0]
        return history.loc[history["metric"] == LOSS, ["key", "step", "value"]]

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

    def table(
        self,
        metrics: str | Sequence[str] | None = None,
        *,
        factor: str | None = None,
        control: str | None = None,
    ) -> "ComparisonTable":
        """Each arm against the control, in each cell, paired by seed; its `frame` holds the numbers.

        Args:
            metrics: names of metrics, in order; None: the usual ones that the study has.
            factor: the factor under test; None: the only one that varies, else connection.
            control: the arm that others are compared with; None: plain where there is one, else the first.

        Raises:
            SkiplabError: a name is unknown.
        """
        from skiplab.analysis.tables.comparison_table import comparison_table

        return comparison_table(self, factor=factor, control=control, metrics=_names(metrics))

    def verdicts(self, claims: str | Path | None = None) -> "Verdicts":
        """What the study says about each of its claims; `verdicts["NAME"]` is one of them.

        Args:
            claims: a claims file, which the study is judged by from now on; None: the one that it remembers.

        Raises:
            SkiplabError: the study remembers no claims, or the file can't be read.
        """
        from skiplab.analysis.claims.verdict_list import claims_of_study, judged

        return judged(self, claims_of_study(self, claims))

    def compare(
        self,
        metrics: str | Sequence[str],
        *,
        factor: str | None = None,
        control: str | None = None,
        smallest_effect: float = 0.0,
    ) -> "Verdicts":
        """The verdict on 'the arm is better than the control', for each metric, other arm and cell.

        It is exploratory, since no claims file says that the question came before the numbers.

        Args:
            metrics: names of metrics that have a better side.
            factor: as for `table`.
            control: as for `table`.
            smallest_effect: the smallest advantage that counts, on the metric's scale, from 0.

        Raises:
            SkiplabError: a name is unknown, there is one arm, or a metric has no better side.
        """
        from skiplab.analysis.claims.compare_command import compare
        from skiplab.analysis.claims.verdict_list import Verdicts
        from skiplab.analysis.study.measured_study import check_has_numbers
        from skiplab.analysis.tables.comparison import Selection

        check_has_numbers(self, "compare")
        return Verdicts(compare(self, Selection(factor, control, _names(metrics)), smallest_effect))

    @property
    def figure_names(self) -> tuple[str, ...]:
        """The names that `figure` takes."""
        from skiplab.analysis.figures.figure_files import figures_of_study

        return tuple(figures_of_study(self))

    def figure(self, name: str = "headline", *, factor: str | None = None, control: str | None = None) -> "Figure":
        """A figure of the study; a notebook shows it.

        Args:
            name: one of `figure_names`; headline: the outcome of each arm in each cell.
            factor: as for `table`.
            control: as for `table`.

        Raises:
            SkiplabError: a name is unknown, or the study has no value to draw.
        """
        from skiplab.analysis.figures.figure_files import draw_figure

        return draw_figure(self, name, factor, control)

    def report(
        self,
        claims: str | Path | None = None,
        *,
        metrics: str | Sequence[str] | None = None,
        factor: str | None = None,
        control: str | None = None,
    ) -> Path:
        """Write the study's page with verdicts, tables and figures; returns its path.

        Args:
            claims: as for `verdicts`; a study without claims has a page without verdicts.
            metrics: as for `table`; None: those of the claims.
            factor: as for `table`.
            control: as for `table`.

        Raises:
            SkiplabError: a name is unknown, or the claims can't be read.
        """
        from skiplab.analysis.claims.study_claims import study_claims
        from skiplab.analysis.page.report import write_report
        from skiplab.analysis.tables.comparison import Selection

        own = study_claims(self, None if claims is None else Path(claims))
        return write_report(self, own, Selection(factor, control, _names(metrics)))

    def __repr__(self) -> str:
        from skiplab.analysis.study.study_text import study_text

        return study_text(self)

    def _repr_html_(self) -> str:
        from skiplab.analysis.study.study_text import study_html

        return study_html(self)


def _names(given: str | Sequence[str] | None) -> Sequence[str] | None:
    return [given] if isinstance(given, str) else given


def read_study(name: str, runs_dir: str | Path = "runs") -> Study:
    """Read the records of a study, or of several studies as one, 'A,B'.

    Several studies have the trials of all, each once; tables and figures of them go to a folder of their own. The
    result of tuning for one of them doesn't count for all. Nothing but the cache is written.

    Args:
        name: what `run.study=NAME` or `skiplab.study(name=...)` called it.
        runs_dir: the folder of records.

    Raises:
        SkiplabError: if there is no such study.
    """
    runs_dir = Path(runs_dir)
    folders = study_folders(name, runs_dir)
    folder = runs_dir / STUDIES / name
    if found := links_out(folder):
        raise SkiplabError(
            f"{found[0]} is a link that leads out of its folder, where tables of a study are written; remove it, or "
            "put a copy of the file in its place"
        )
    keys, bad_keys = listed_keys(folders)
    tuned, bad_tuned = tuned_of(folder / TUNED)
    published = read_published_trials(folder)
    state = study_cache.state_of(folder, runs_dir, keys)
    contents = study_cache.load(folder, state)
    if contents is None:
        records, bad_records = read_records(runs_dir, keys)
        contents = read_contents(records, tuned, bad_records, published)
        study_cache.store(folder, state, contents)
    else:
        records = LazyRecords(runs_dir, contents.first_starts)
    parts = contents._asdict()
    truncated = _truncated(runs_dir, contents.files, records)
    left_out = [_left_out(each) for each in folders if len(folders) > 1 and (each / PUBLISHED).is_dir()]
    parts["problems"] = (*left_out, *bad_keys, *contents.problems, *truncated, *bad_tuned)
    return Study(
        name=name,
        runs_dir=runs_dir,
        folder=folder,
        listed_in=tuple(folders),
        records=records,
        tuned=tuned,
        published=published,
        **parts,
    )


def _left_out(folder: Path) -> Problem:
    return Problem(
        f"study {folder.name}", "the published trials that it goes on from count only where it is read alone"
    )


def _truncated(runs_dir: Path, files: Mapping[str, dict[str, FinishedFile]], records: Records) -> list[Problem]:
    """Files of finished trials that are shorter than their records say; only the records of those are read."""
    keys = [key for key, lengths in files.items() if any(truncated_files(f"{runs_dir}/{key}", lengths))]
    found = ((runs_dir / key, *each) for key in keys for each in explain_truncated(runs_dir / key, records[key]))
    return [Problem(str(folder / name), reason) for folder, name, reason in found]
