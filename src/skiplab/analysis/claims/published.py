"""Values that papers print, compared with those of a study."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from skiplab.analysis.statistics.intervals import Interval, paired_interval
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text, number
from skiplab.errors import SkiplabError
from skiplab.printable import printable

_PRINTED = ("paper", "table", "arm", "metric", "value", "unit", "citation", "read_from")
_HERE = ("profile", "cell", "metric_here", "value_here", "tolerance")


class Published(NamedTuple):
    """A printed value, and its counterpart in a profile of the experiment if there is one.

    read_from: where the value was read, such as 'the paper'.
    profile: the profile with the counterpart, else ''.
    cell: choices and settings of the counterpart's trials.
    value_here: the printed value in the unit of metric_here; nan without a counterpart.
    tolerance: in the same unit; nan without a counterpart.
    """

    table: str
    arm: str
    metric: str
    value: str
    unit: str
    citation: str
    read_from: str
    profile: str
    cell: dict[str, str]
    metric_here: str
    value_here: float
    tolerance: float

    @property
    def what(self) -> str:
        """What was printed, as text."""
        return f"{self.table}, {self.arm}: {self.metric}"


class Found(NamedTuple):
    """A printed value beside ours; they agree where our mean lies within the tolerance."""

    published: Published
    here: Interval
    agreement: Literal["agrees", "disagrees", "not run"]


def read_published(path: Path) -> list[Published]:
    """The rows of an expected.csv.

    Raises:
        SkiplabError: where a column is missing, or a counterpart is incomplete.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in (*_PRINTED, *_HERE) if name not in (reader.fieldnames or ())]:
            raise SkiplabError(
                f"{path} lacks the columns {', '.join(missing)}; valid: {', '.join((*_PRINTED, *_HERE))}"
            )
        return [_published(row, f"{path}, line {reader.line_num}") for row in reader]


def _published(row: dict[str, str], where: str) -> Published:
    given = [name for name in ("metric_here", "value_here", "tolerance") if row[name]]
    if len(given) != (3 if row["profile"] else 0):
        raise SkiplabError(
            f"{where}: profile is {row['profile']!r}, given beside it: {', '.join(given) or 'nothing'}; valid: all of "
            "profile, metric_here, value_here and tolerance, or none of them"
        )
    try:
        value, tolerance = (float(row[name] or "nan") for name in ("value_here", "tolerance"))
        cell = dict(part.split("=", 1) for part in row["cell"].split(";") if part)
    except ValueError:
        raise SkiplabError(
            f"{where}: value_here is {row['value_here']!r}, tolerance {row['tolerance']!r}, cell {row['cell']!r}; "
            "valid: numbers in value_here and tolerance, NAME=LEVEL;... in cell"
        ) from None
    return Published(
        table=row["table"],
        arm=row["arm"],
        metric=row["metric"],
        value=row["value"],
        unit=row["unit"],
        citation=row["citation"],
        read_from=row["read_from"],
        profile=row["profile"],
        cell=cell,
        metric_here=row["metric_here"],
        value_here=value,
        tolerance=tolerance,
    )


def against_study(study: Study, published: Sequence[Published], profile: str) -> list[Found]:
    """The values that have a counterpart in a profile, each beside the study's mean with its 95% interval."""
    return [_found(study, each) for each in published if each.profile == profile]


def _found(study: Study, published: Published) -> Found:
    trials = study.trials.loc[study.trials["status"] == "done"]
    for name, level in published.cell.items():
        if name in study.factors:
            trials = trials.loc[trials[name].map(level_text) == level]
        elif name not in study.constants or level_text(study.constants[name]) != level:
            trials = trials.iloc[:0]
    here = paired_interval(trials.get(published.metric_here, []))
    if here.n == 0:
        return Found(published, here, "not run")
    close = abs(here.mean - published.value_here) <= published.tolerance
    return Found(published, here, "agrees" if close else "disagrees")


def here_text(found: Found) -> str:
    """Our mean with its interval and n; '–' without trials."""
    here = found.here
    if here.n == 0:
        return "–"
    half = (here.high - here.low) / 2
    spread = f" ± {number(half)}" if math.isfinite(half) else ""
    return f"{number(here.mean, half)}{spread}, n {here.n}"


def render_published(found: Sequence[Found]) -> RenderableType:
    """Printed values beside ours for a terminal, or a line that there are none."""
    if not found:
        return Text("no published value has a counterpart in this profile")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("published")
    for name in ("printed", "here", "tolerance"):
        table.add_column(name, justify="right")
    table.add_column("")
    for each in found:
        row = each.published
        texts = (row.what, number(row.value_here), here_text(each), number(row.tolerance), each.agreement)
        table.add_row(*(Text(printable(text)) for text in texts))
    return Group(Text("Against the papers", style="bold"), table)
