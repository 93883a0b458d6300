import numpy as np
import pytest
from example_claims import CLAIMS

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.figures.forest_figure import forest_figure
from skiplab.analysis.figures.palette import VERDICT_COLORS, to_svg
from skiplab.analysis.study.study import read_study

RATIO = """\
  - {name: distance, text: t, metric: frechet_distance, contrast: difference, direction: lower, smallest_effect: 0.1,
     cells: {depth: [16]}}
"""


@pytest.fixture
def verdicts(fill, runs, claims_file):
    fill(effect=0.15)
    return judge(read_study("s", runs.folder), read_claims(claims_file(CLAIMS + RATIO)))


def test_each_row_is_a_cells_interval_with_its_verdict(verdicts):
    figure = forest_figure(verdicts)
    for ax, verdict, unscaled in zip(figure.axes, verdicts, (np.asarray, np.exp), strict=True):
        lines = [line for line in ax.lines if line.get_linestyle() == "-" and line.get_marker() == "None"]
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert len(dots) == len(verdict.cells)
        cells = [cell.parts[0] for cell in verdict.cells]
        for cell, line, dot in zip(cells, lines, dots, strict=False):
            assert list(line.get_xdata()) == pytest.approx(list(unscaled([cell.interval.low, cell.interval.high])))
            assert dot.get_xdata()[0] == pytest.approx(float(unscaled(cell.interval.mean)))
            assert dot.get_color() == VERDICT_COLORS[cell.conclusion]
        texts = [text.get_text() for text in ax.texts]
        assert texts == [f"{cell.conclusion}, n 5" for cell in cells]


def test_the_band_holds_effects_too_small_to_count(verdicts):
    linear, log = forest_figure(verdicts).axes
    for ax, ends in ((linear, (-0.02, 0.02)), (log, (np.exp(-0.1), np.exp(0.1)))):
        (band,) = ax.patches
        assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx(ends)


def test_a_cell_without_a_size_says_why(runs, claims_file):
    for seed in range(3):
        runs.trial(seed=seed, choices={"connection": "plain"}, summary={"skill_train": 0.01 + 0.001 * seed})
        runs.trial(seed=seed, choices={"connection": "identity"}, summary={"skill_train": 0.7})
    claims = """\
factor: connection
control: plain
treatment: identity
claims:
  - {name: a, text: t, metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.1}
  - {name: b, text: t, metric: kernel_distance, contrast: difference, direction: higher, smallest_effect: 0.1}
"""
    collapsed, missing = forest_figure(judge(read_study("s", runs.folder), read_claims(claims_file(claims)))).axes
    assert [text.get_text() for text in collapsed.texts] == ["supported, n 3", "collapsed: plain"]
    assert [text.get_text() for text in missing.texts] == [
        "not run, n 0",
        "kernel_distance was not measured; evaluator…",
    ]
    assert not [line for line in collapsed.lines if line.get_marker() == "o"]


def test_hostile_names_are_drawn_as_text(runs, claims_file):
    hostile = "_$\\frac$<b>"
    for seed in range(3):
        runs.trial(seed=seed, choices={"connection": "plain", "long_skip": hostile}, summary={"skill_train": 0.5})
        runs.trial(seed=seed, choices={"connection": "identity", "long_skip": "none"}, summary={"skill_train": 0.5})
    verdicts = judge(read_study("s", runs.folder), read_claims(claims_file()))
    assert "<b>" not in to_svg(forest_figure(verdicts))
