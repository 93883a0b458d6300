"""A study of results that skiplab has no records of."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pandas as pd

from skiplab.analysis.study.study import LOSS, Study
from skiplab.records.read_records import Problem


class Series(NamedTuple):
    """The frames of `Study.history`, `Study.layers` and `Study.measurements`."""

    history: pd.DataFrame
    layers: pd.DataFrame
    measurements: pd.DataFrame


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ResultsStudy(Study):
    """A study whose trials are the rows of a table of someone's own results; it has no records and no costs.

    series: the values of its runs, of which those of its trials count.
    """

    series: Series

    @cached_property
    def _history(self) -> tuple[pd.DataFrame, list[Problem]]:
        return self._own(self.series.history), []

    @cached_property
    def losses(self) -> pd.DataFrame:
        return self.history.loc[self.history["metric"] == LOSS, ["key", "step", "value"]]

    @cached_property
    def _layers(self) -> tuple[pd.DataFrame, list[Problem]]:
        return self._own(self.series.layers), []

    @cached_property
    def _measurements(self) -> tuple[pd.DataFrame, list[Problem]]:
        return self._own(self.series.measurements), []

    def _own(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.loc[frame["key"].isin(self.trials["key"])]
