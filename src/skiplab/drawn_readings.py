"""`skiplab readings`: the figures of files that `skiplab.watch` and `skiplab.Instruments` wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from skiplab.analysis import terminal
from skiplab.analysis.figures.chart_figures import DrawnChart, draw_chart
from skiplab.analysis.figures.figure_files import DEFAULT_FORMATS, write_figures
from skiplab.analysis.figures.figures import loss_caption, loss_curves
from skiplab.analysis.study.watched_study import FACTOR, watched_study
from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.instruments.own_loop.readings_file import read_readings
from skiplab.targets import locate
from skiplab.watching import instrument_options

Files = str | Path | Sequence[str | Path]


def draw_readings(
    files: Files | Mapping[str, Files], *, to: str | Path = "figures", formats: Sequence[str] = DEFAULT_FORMATS
) -> list[Path]:
    """Draw the readings of training loops of one's own as `skiplab figures` draws those of trials.

    Args:
        files: a file of readings, or several, each an arm with the name of its file; or a mapping from the name of an
            arm to its files, one for each seed.
        to: the folder of the figures.
        formats: of the figures, 'pdf', 'png' and 'svg'.

    Returns:
        The files that were written, and figures.md with the captions.

    Raises:
        SkiplabError: a file can't be read, none holds a quantity that a figure shows, or a format is unknown.
    """
    arms = {arm: _listed(own) for arm, own in _arms(files).items()}
    found = {arm: [read_readings(path) for path in paths] for arm, paths in arms.items()}
    study = watched_study(
        {arm: [each.layers for each in own] for arm, own in found.items()},
        {arm: [each.losses for each in own] for arm, own in found.items()},
        _charts(),
    )
    drawn: dict[str, DrawnChart | None] = {name: draw_chart(study, name, FACTOR) for name in study.charts}
    if not study.history.empty:
        drawn = {"training_loss": DrawnChart(loss_curves(study, FACTOR), loss_caption(study, FACTOR)), **drawn}
    if not any(drawn.values()):
        raise SkiplabError(
            f"{', '.join(str(path) for paths in arms.values() for path in paths)}: there is no quantity to draw; watch "
            "with an instrument such as gradient_flow, or give step() the loss"
        )
    return write_figures("Readings", drawn, Path(to), formats)


def readings_command(files: Sequence[str], to: Path, formats: Sequence[str]) -> None:
    """Write the figures of files of readings.

    Args:
        files: FILE, or ARM=FILE,FILE with a file for each seed.
        to: the folder of the figures.
        formats: of the figures.
    """
    named = [word.partition("=") for word in files]
    arms = {arm if found else Path(arm).stem: rest.split(",") if found else arm for arm, found, rest in named}
    if len(arms) < len(files):
        raise SkiplabError("two files have one name; name the arms, A=FILE B=FILE, or A=FILE,FILE for seeds of one arm")
    console = terminal.console()
    for path in draw_readings(arms, to=to, formats=formats):
        terminal.say(console, f"written: {path}")


def _arms(files: Files | Mapping[str, Files]) -> Mapping[str, Files]:
    if isinstance(files, Mapping):
        return files
    paths = _listed(files)
    arms = {path.stem: path for path in paths}
    if len(arms) < len(paths):
        raise SkiplabError("two files have one name; give a mapping from the name of each arm to its files")
    return arms


def _listed(files: Files) -> list[Path]:
    listed = [Path(each) for each in ([files] if isinstance(files, str | Path) else files)]
    if not listed:
        raise SkiplabError("files is empty; give a file that skiplab.watch or skiplab.Instruments wrote")
    return listed


def _charts() -> dict[str, Chart]:
    """The charts of all instruments, by name."""
    targets = (yaml.safe_load(path.read_text(encoding="utf-8"))["_target_"] for path in instrument_options().values())
    return {name: chart for target in targets for name, chart in locate(target).charts.items()}
