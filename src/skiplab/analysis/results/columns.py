"""Which column of a table of results says what, and what a run is told apart by."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import pandas as pd

from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.printable import printable

Direction = Literal["higher", "lower"]
Scale = Literal["linear", "log", "bounded"]
_MOST_NAMED = 12  # columns in a message


class Columns(NamedTuple):
    """The columns of a table of results.

    arm: what is compared. seed: tells the runs of an arm apart; None: each row is a run of its own, without a partner.
    factors: what else varies; arms are compared at each combination of its levels.
    pair_by: runs of two arms with the same value are a pair; None: those of the same seed.
    status: how the run ended; None: all are done.
    """

    arm: str
    seed: str | None
    factors: tuple[str, ...] = ()
    pair_by: str | None = None
    status: str | None = None

    @property
    def pair(self) -> str | None:
        """What makes a pair of two runs."""
        return self.pair_by or self.seed

    @property
    def named(self) -> list[tuple[str, str]]:
        """Each column with what it says."""
        roles = [("arm", self.arm), *(("factor", name) for name in self.factors)]
        others = (("seed", self.seed), ("pair", self.pair_by), ("status", self.status))
        return [*roles, *((role, name) for role, name in others if name is not None)]


def check_columns(frame: pd.DataFrame, columns: Columns, metrics: Sequence[str]) -> None:
    """Check that the frame has the columns, and that each says one thing.

    Raises:
        SkiplabError: it has none of that name, has it twice, or one is named for two things.
    """
    named = [*columns.named, *(("metric", name) for name in metrics)]
    own = list(frame.columns)
    if repeated := [name for name in dict.fromkeys(own) if own.count(name) > 1]:
        raise SkiplabError(f"two columns are named {printable(repeated[0])!r}; valid: a different name for each column")
    for role, name in named:
        if name not in own:
            raise SkiplabError(_no_column(role, name, own))
    for position, (role, name) in enumerate(named):
        if other := [each for each, same in named[:position] if same == name]:
            raise SkiplabError(
                f"the column {printable(name)!r} is named as {other[0]} and as {role}; valid: a column for each"
            )


def _no_column(role: str, name: str, own: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, own, n=1) or [each for each in own if each.casefold() == name.casefold()]
    shown = ", ".join(own[:_MOST_NAMED]) + (f" and {len(own) - _MOST_NAMED} more" if len(own) > _MOST_NAMED else "")
    hint = f"; did you mean {printable(near[0])!r}?" if near else ""
    without = "; rows without a seed are compared with --unpaired (seed=None)" if role == "seed" else ""
    return f"no column {printable(name)!r} for the {role}; the table has {printable(shown) or 'none'}{hint}{without}"


def parse_metric(text: str) -> tuple[str, Metric]:
    """The column and the metric of `NAME:DIRECTION` or `NAME:DIRECTION:SCALE`; the name may have colons itself.

    Raises:
        SkiplabError: the direction is missing or unknown.
    """
    name, _, last = text.rpartition(":")
    scale: Scale = "linear"
    for each in get_args(Scale):
        if last == each and name:
            scale, (name, _, last) = each, name.rpartition(":")
    for direction in get_args(Direction):
        if last == direction and name:
            return name, Metric(label=name, direction=direction, scale=scale)
    raise SkiplabError(
        f"--metric {printable(text)} doesn't say which values are better; valid: {printable(text)}:lower or "
        f"{printable(text)}:higher, and :log behind it to compare ratios"
    )


def declared(metrics: Mapping[str, Direction | Metric | None]) -> dict[str, Metric]:
    """The metrics of a mapping from column to direction, or to the whole declaration.

    Raises:
        SkiplabError: a direction is unknown, or there is no metric.
    """
    if not isinstance(metrics, Mapping) or not metrics:
        raise SkiplabError(f"metrics is {printable(metrics)!r:.80}; valid: a mapping such as {{'val_loss': 'lower'}}")
    found = {}
    for name, said in metrics.items():
        if not isinstance(said, Metric) and said not in (*get_args(Direction), None):
            raise SkiplabError(
                f"the metric {printable(name)!r} is declared as {printable(said)!r:.80}; valid: 'lower', 'higher', "
                "None or a skiplab.metrics.Metric"
            )
        found[str(name)] = said if isinstance(said, Metric) else Metric(label=str(name), direction=said)
    return found
