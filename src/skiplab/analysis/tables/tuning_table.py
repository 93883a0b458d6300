"""What was tuned: the table of `skiplab tune`."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skiplab.analysis.figures.palette import to_svg
from skiplab.analysis.figures.tuning_figure import tuning_figure
from skiplab.analysis.tables import terminal
from skiplab.analysis.tables.written import write, writing
from skiplab.analysis.text import level_text, number
from skiplab.printable import printable
from skiplab.records.tuned import Combination, Edge, Tuned, read_tuned

_EDGES: dict[Edge, str] = {"inside": "no", "lowest": "lowest", "highest": "highest", "both": "flat"}
_UNBROKEN = 28  # characters of a level that a narrow terminal must not break


def tuning_command(path: Path, console: Console | None = None) -> None:
    """Print what tuned.yaml says, and write the figure beside it.

    Raises:
        SkiplabError: where the file can't be read.
    """
    console, tuned = console or terminal.console(), read_tuned(path)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    rows = tuning_rows(tuned)
    for position, name in enumerate(tuning_headings(tuned)):
        right = position >= len(tuned.factors)
        heading = "" if right and name != tuned.metric else name  # may be broken
        least = max(len(heading), *(len(row[position]) for row in rows))
        table.add_column(
            Text(printable(name)),
            justify="right" if right else "left",
            overflow="fold",
            min_width=min(least, _UNBROKEN),
        )
    for row in rows:
        table.add_row(*(Text(printable(entry)) for entry in row))
    console.print(Text(printable(tuning_words(tuned))))
    console.print(table)
    terminal.say_written(console, [path, path.with_name("tuning.csv")])
    with writing(path.parent, console):
        terminal.say_written(console, [write(path.with_name("tuning.svg"), to_svg(tuning_figure(tuned)))])
    kept = "".join(f"{word} " for word in _kept(tuned))
    terminal.say(
        console,
        f"to compare with it: skiplab train -m experiment={tuned.preset} {kept}hydra.sweeper.tuned={path}",
    )


def _kept(tuned: Tuned) -> list[str]:
    """The overrides that hold for the comparison too: what was tuned is set by the file."""
    return [word for word in tuned.overrides if word.lstrip("+").split("=")[0] not in tuned.names]


def tuning_words(tuned: Tuned) -> str:
    """What was tried, in one line, and how far the search came."""
    at_edge = sum(each.edge != "inside" for each in tuned.combinations)
    times = "once" if tuned.widenings == 1 else f"{tuned.widenings} times"
    widened = f"; the grid was widened {times} for all" if tuned.widenings else ""
    still = f"; {at_edge} of {len(tuned.combinations)} bests still at the edge" if at_edge else ""
    seeds = ", ".join(map(str, tuned.seeds))
    return (
        f"{tuned.budget} for each combination, {tuned.rates[0]:g} to {tuned.rates[-1]:g}, by {tuned.label} at seeds "
        f"{seeds}{widened}{still}"
    )


def tuning_headings(tuned: Tuned) -> list[str]:
    """The columns of `tuning_rows`."""
    settings = [name.rpartition(".")[2] for name in tuned.names]
    return [*tuned.factors, *settings, tuned.metric, "workable rates", "decades", "at edge"]


def tuning_rows(tuned: Tuned) -> list[list[str]]:
    """A row a combination: its levels, what was chosen, the metric at it, the workable window, whether at the edge."""
    return [_row(each) for each in tuned.combinations]


def _row(combination: Combination) -> list[str]:
    window = combination.window
    learns = combination.value > 0
    return [
        *(level_text(level) for level in combination.factors.values()),
        *(level_text(value) for value in combination.best.values()),
        number(combination.value),
        f"{window.lowest:g} to {window.highest:g}" if learns else "none",
        f"{'≥ ' if window.at_least else ''}{window.decades:.1f}" if learns else "–",
        _EDGES[combination.edge],
    ]
