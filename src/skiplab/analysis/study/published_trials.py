"""The published trials that a study goes on from: copies of their tables, in studies/NAME/published/.

They have no records. Their options and settings are known all the same, since their keys are hashes of those; they
stand beside the tables.
"""

import csv
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.records.file_names import PUBLISHED
from skiplab.records.foreign_files import MOST_TABLE_BYTES, read_own
from skiplab.records.record_schema import TrialSettings
from skiplab.records.statuses import FINISHED, STATUSES

TRIALS = "trials.csv"
METRICS = "metrics.json"
RESULT = "result.json"
VERDICTS = "verdicts.csv"
SETTINGS = "settings.json"
COPIED = (TRIALS, METRICS, RESULT, VERDICTS)


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedTrials:
    """Trials that were published.

    trials: those that are finished, a row each, by key.
    settings: their options and settings by key.
    metrics: what was published of their metrics.
    result: when, where and at what cost they were trained.
    caveats: of the published verdict on each claim.
    """

    trials: pd.DataFrame
    settings: Mapping[str, TrialSettings]
    metrics: Mapping[str, Metric]
    result: Mapping[str, Any]
    caveats: Mapping[str, tuple[str, ...]]

    @property
    def seconds(self) -> dict[str, float]:
        """How long each took, by key."""
        return dict(zip(self.trials["key"], self.trials["wall_seconds"], strict=True))

    def __str__(self) -> str:
        """When and where they were trained."""
        seeds = f"seeds {self.trials['seed'].min()} to {self.trials['seed'].max()}"
        where = f"{', '.join(self.result['hardware'])}, torch {self.result['versions']['torch']}"
        return f"{len(self.trials)} trials published on {self.result['date']} ({seeds}; {where})"


def read_published_trials(study: Path) -> PublishedTrials | None:
    """The published trials in a study's folder; None if it goes on from none.

    Raises:
        SkiplabError: they can't be read.
    """
    folder = study / PUBLISHED
    if not folder.is_dir():
        return None
    try:
        text = {name: read_own(folder / name, MOST_TABLE_BYTES).decode() for name in (*COPIED, SETTINGS)}
        return PublishedTrials(
            trials=read_trials(text[TRIALS]),
            settings=json.loads(text[SETTINGS]),
            metrics={name: Metric(**declared) for name, declared in json.loads(text[METRICS]).items()},
            result=json.loads(text[RESULT]),
            caveats={
                row["claim"]: tuple(row["caveats"].split("; ")) for row in csv.DictReader(io.StringIO(text[VERDICTS]))
            },
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SkiplabError(
            f"{folder} can't be read ({error}); it holds the published trials that the study goes on from: repeat "
            "`skiplab reproduce` with --decide --continue, or remove the folder to do without them"
        ) from None


def read_trials(text: str) -> pd.DataFrame:
    """The finished trials of a published trials.csv, by key, with each number exactly as it was written."""
    table = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""], dtype="object")
    trials = table.loc[table["status"].isin(list(FINISHED))].set_index("key", drop=False).rename_axis(None)
    for name in trials.columns.drop("key"):
        with suppress(ValueError):  # a text
            trials[name] = trials[name].astype(float)
    trials["status"] = pd.Categorical(trials["status"], categories=STATUSES)
    return trials.astype({"seed": int})
