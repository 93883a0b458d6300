"""The table of `skiplab tune`: the best settings of each combination."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.analysis.figures.palette import to_svg
from skiplab.analysis.figures.tuning_figure import tuning_figure
from skiplab.analysis.output_files import write, writing
from skiplab.analysis.text import level_text, number
from skiplab.printable import printable
from skiplab.records.tuned import Combination, Edge, Tuned, read_tuned
from skiplab.records.tuned_budget import budget_text, by_level, short_name

_EDGES: dict[Edge, str] = {"inside": "no", "lowest": "lowest", "highest": "highest", "both": "flat"}
_UNBROKEN = 28  # characters of a level that stay on one line in a narrow terminal


def tuning_command(path: Path, console: Console | None = None) -> None:
    """Print the content of tuned.yaml and write its figure beside it.

    Raises:
        SkiplabError: the file can't be read.
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
    overrides = "".join(f"{word} " for word in _overrides(tuned))
    terminal.say(
        console,
        f"to use it: skiplab train -m experiment={tuned.preset} {overrides}hydra.sweeper.tuned={path}",
    )


def _overrides(tuned: Tuned) -> list[str]:
    """The overrides of the comparison: those of tuning, except for what the file sets."""
    return [word for word in tuned.overrides if not tuned.sets(word.lstrip("+").split("=")[0])]


def tuning_words(tuned: Tuned) -> str:
    """One line on what was tried and how the search ended."""
    at_edge = sum(each.edge != "inside" for each in tuned.combinations)
    times = "once" if tuned.widenings == 1 else f"{tuned.widenings} times"
    widened = f"; the grid was widened {times} for all" if tuned.widenings else ""
    still = f"; {at_edge} of {len(tuned.combinations)} best rates are still at an edge" if at_edge else ""
    budget = budget_text(len(tuned.rates), tuned.combinations)
    tried = "".join(f"; {words}" for words in _tried(tuned))
    return (
        f"{budget} for each combination, {tuned.rates[0]:g} to {tuned.rates[-1]:g}, by {tuned.label} at "
        f"{tuned.seeds_text}{tried}{widened}{still}"
    )


def _tried(tuned: Tuned) -> list[str]:
    """The values of each option and setting that was combined with the rates, such as 'init default, he'."""
    return [f"{short_name(name)} {by_level(tuned.combinations, partial(_values, name))}" for name in tuned.choices]


def _values(name: str, combination: Combination) -> str:
    if name in combination.tried:
        return ", ".join(map(level_text, combination.tried[name]))
    if any(name in choice.split("+") for choice in combination.tried):
        return "together with others"
    return f"only {level_text(combination.best[name])}" if name in combination.best else "none"


def tuning_headings(tuned: Tuned) -> list[str]:
    """The columns of `tuning_rows`."""
    settings = [short_name(name) for name in tuned.names]
    return [*tuned.factors, *settings, tuned.metric, "workable rates", "decades", "at edge"]


def tuning_rows(tuned: Tuned) -> list[list[str]]:
    """One row per combination: its levels, best settings, the metric, the workable rates, whether at an edge."""
    return [_row(each, tuned.names) for each in tuned.combinations]


def _row(combination: Combination, names: Sequence[str]) -> list[str]:
    window = combination.window
    learns = combination.value > 0
    return [
        *(level_text(level) for level in combination.factors.values()),
        *(level_text(combination.best[name]) if name in combination.best else "–" for name in names),
        number(combination.value),
        f"{window.lowest:g} to {window.highest:g}" if learns else "none",
        f"{'≥ ' if window.at_least else ''}{window.decades:.1f}" if learns else "–",
        _EDGES[combination.edge],
    ]
