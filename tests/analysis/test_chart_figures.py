import numpy as np
import pandas as pd
import pytest
from example_charts import CHARTS, declared
from matplotlib.colors import to_hex

from skiplab.analysis.figures.chart_figures import chart_figure, draw_chart
from skiplab.analysis.figures.layer_kinds import kind_colors, kind_of
from skiplab.analysis.figures.marks import mark_of
from skiplab.analysis.figures.palette import arm_colors, to_svg
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError

COLORS = arm_colors(["plain", "identity"])


def curves(runs, rows_of, *, kind="lines", log=(), depths=(4,), num_seeds=2, arms=("plain", "identity")):
    """A study whose trials measure what `rows_of(arm, depth, seed)` gives: line, x, y, value."""
    for arm in arms:
        for depth in depths:
            for seed in range(num_seeds):
                key = runs.trial(
                    seed=seed,
                    choices={"connection": arm},
                    factors={"depth": depth},
                    charts={"c": declared("evaluator e", kind, *log)},
                )
                runs.measurements(key, [("c", *row) for row in rows_of(arm, depth, seed)])
    return read_study("s", runs.folder)


def lines_of(ax, arm):
    found = [line for line in ax.get_lines() if to_hex(line.get_color()) == COLORS[arm].lower()]
    return [line for line in found if len(line.get_xdata())]


@pytest.mark.parametrize(("log", "expected"), [((), 5.0), (("value",), 4.0)])
def test_a_line_is_the_mean_over_seeds_and_its_band_their_range(runs, log, expected):
    study = curves(runs, lambda arm, depth, seed: [("", x, None, (2.0, 8.0)[seed]) for x in (0, 1)], log=log)
    (ax,) = chart_figure(study, "c").axes
    (line,) = lines_of(ax, "plain")
    assert line.get_ydata() == pytest.approx([expected, expected])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((2.0, 8.0))


def test_the_legend_names_arms_by_color_and_lines_by_style(runs):
    study = curves(runs, lambda arm, depth, seed: [(line, x, None, 1.0) for line in "uvw" for x in (0, 1)])
    figure = chart_figure(study, "c")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["plain", "identity", "u", "v", "w"]
    styles = [line.get_linestyle() for line in lines_of(figure.axes[0], "plain")]
    assert styles[0] == "-"
    assert len(set(styles)) == 3


def test_lines_join_the_blocks_of_layers_that_are_dots(runs):
    key = runs.trial(charts={"norm": declared("instrument i", "lines", "value")})
    places = ["in", "a.branch.x", "a.branch.y", "b.branch.x", "b.branch.y"]
    values = [9.0, 1.0, 4.0, 2.0, 8.0]
    rows = [f"0,{n},{path},norm,{value}" for n, (path, value) in enumerate(zip(places, values, strict=True))]
    runs.write(key, "layers.csv", "\n".join(["step,index,path,quantity,value", *rows]) + "\n")
    drawn = draw_chart(read_study("s", runs.folder), "norm", "connection")
    ax = drawn.figure.axes[0]
    (line,) = lines_of(ax, "plain")
    dots = [each for each in ax.get_lines() if each.get_marker() == "o" and len(each.get_xdata())]
    assert {name: kind.get_ydata().tolist() for name, kind in zip("xy", dots[1:], strict=True)} == {
        "x": pytest.approx([1.0, 2.0]),
        "y": pytest.approx([4.0, 8.0]),
    }
    assert [text for kind in dots for text in mark_of(kind).texts] == [
        "plain, in: 9.00",
        "plain, a.branch.x: 1.00",
        "plain, b.branch.x: 2.00",
        "plain, a.branch.y: 4.00",
        "plain, b.branch.y: 8.00",
    ]
    assert len({kind.get_markerfacecolor() for kind in dots}) == 3
    assert {kind.get_markeredgecolor() for kind in dots} == {line.get_color()}
    assert mark_of(line).texts == ["plain, a: 2.00", "plain, b: 4.00"]
    assert line.get_xdata().tolist() == pytest.approx([1.5 / 4, 3.5 / 4])
    assert line.get_ydata().tolist() == pytest.approx([2.0, 4.0])
    assert "Dots are layers" in drawn.caption


def test_of_many_kinds_of_layers_the_rarest_share_a_color():
    names = [f"k{number}" for number in range(12)]
    paths = [f"{block}.branch.{name}" for number, name in enumerate(names) for block in range(20 - number)]
    colors = kind_colors([pd.DataFrame({"path": paths})])
    assert list(colors) == [*names[:7], "of another kind"]
    assert len(set(colors.values())) == 8
    assert kind_of("head.2") == "head"


def test_kinds_of_layers_that_are_equally_frequent_stand_as_in_the_network():
    """In an order of their own, colors would differ from one process to the next."""
    paths = [f"blocks.0.branch.{kind}" for kind in ("norm1", "conv1", "norm2", "conv2", "cond", "gate")]
    assert list(kind_colors([pd.DataFrame({"path": paths})])) == ["norm1", "conv1", "norm2", "conv2", "cond", "gate"]


def test_a_chart_of_one_value_says_so(runs):
    study = curves(runs, lambda arm, depth, seed: [("", x, None, 0.5) for x in (1, 3)])
    assert draw_chart(study, "c", "connection").constant == "Every value is 0.500."
    study = curves(runs, lambda arm, depth, seed: [("", x, None, 0.5 + seed) for x in (1, 3)])
    assert draw_chart(study, "c", "connection").constant == ""


def test_bars_stand_side_by_side_at_whole_numbers(runs):
    heights = {"plain": 1.0, "identity": 2.0}
    study = curves(runs, lambda arm, depth, seed: [("", x, None, heights[arm] + seed) for x in (1, 3)], kind="bars")
    (ax,) = chart_figure(study, "c").axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "3"]
    bars = sorted((bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in ax.patches)
    np.testing.assert_allclose(bars, [(-0.2, 1.5), (0.2, 2.5), (0.8, 1.5), (1.2, 2.5)])


def test_bars_of_ratios_stand_on_one(runs):
    study = curves(runs, lambda arm, depth, seed: [("", 1, None, 4.0), ("", 2, None, 0.5)], kind="bars", log=("value",))
    (ax,) = chart_figure(study, "c").axes
    ends = {(bar.get_y(), bar.get_y() + bar.get_height()) for bar in ax.patches}
    assert ends == {(1.0, 4.0), (1.0, 0.5)}


def test_a_log_axis_of_less_than_a_factor_of_four_has_ticks(runs):
    study = curves(runs, lambda arm, depth, seed: [("", x, None, 1.1 + 0.4 * x) for x in (0, 1)], log=("value",))
    (ax,) = chart_figure(study, "c").axes
    low, high = ax.get_ylim()
    assert sum(low <= tick <= high for tick in ax.get_yticks()) >= 3


def test_all_heat_maps_share_one_scale_of_colors(runs):
    def surface(arm, depth, seed):
        return [("", x, y, (1.0 if arm == "plain" else 100.0) * (1 + x + y)) for x in (0, 1, 2) for y in (0, 1)]

    study = curves(runs, surface, kind="heat", log=("value",))
    drawn = draw_chart(study, "c", "connection")
    *panels, bar = drawn.figure.axes
    assert [panel.get_title() for panel in panels] == ["plain", "identity"]
    assert bar.get_ylabel() == "size"
    (plain,), (identity,) = (panel.collections for panel in panels)
    assert plain.norm is identity.norm
    assert (plain.norm.vmin, plain.norm.vmax) == pytest.approx((1.0, 400.0))
    np.testing.assert_allclose(plain.get_array(), [[1, 2, 3], [2, 3, 4]])


def test_a_heat_map_is_the_mean_over_seeds(runs):
    study = curves(runs, lambda arm, depth, seed: [("", x, 0, (2.0, 8.0)[seed]) for x in (0, 1)], kind="heat")
    np.testing.assert_allclose(chart_figure(study, "c").axes[0].collections[0].get_array(), [[5.0, 5.0]])


def test_of_all_depths_the_deepest_is_mapped_and_said(runs):
    study = curves(
        runs, lambda arm, depth, seed: [("", x, 0, depth + x) for x in (0, 1)], kind="heat", depths=(4, 8, 16)
    )
    drawn = draw_chart(study, "c", "connection")
    assert len(drawn.figure.axes) == 2 + 1  # arms, and the scale
    assert drawn.figure.axes[0].collections[0].norm.vmin == 16
    assert "Only the greatest depth, 16, is shown." in drawn.caption


def test_maps_that_are_left_out_are_counted(runs):
    arms = [f"arm{number}" for number in range(15)]
    study = curves(
        runs, lambda arm, depth, seed: [("", x, 0, 1.0) for x in (0, 1)], kind="heat", num_seeds=1, arms=arms
    )
    drawn = draw_chart(study, "c", "connection")
    assert len(drawn.figure.axes) == 12 + 1
    assert "12 of 15 panels are shown." in drawn.caption


def test_a_contour_draws_the_levels_of_the_surface(runs):
    rows = [("", x, y, 1 + x**2 + y**2) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)]
    study = curves(runs, lambda arm, depth, seed: rows, kind="contour")
    filled, lines = chart_figure(study, "c").axes[0].collections
    assert (filled.levels[0], filled.levels[-1]) == pytest.approx((1.0, 3.0))
    assert list(lines.levels) == list(filled.levels)


def test_an_outcome_is_the_metric_of_its_name(with_series):
    study = read_study("s", with_series)
    drawn = draw_chart(study, "loss_val", "connection")
    assert drawn.figure.axes[0].get_ylabel() == "validation loss"
    assert drawn.caption == CHARTS["loss_val"]["caption"]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_of_every_kind_is_drawn_the_same_each_time(name, with_series):
    first, second = (to_svg(chart_figure(read_study("s", with_series), name)) for _ in range(2))
    assert first == second
    assert "long_skip none" in first
    assert "long_skip concat" in first


@pytest.mark.parametrize("kind", ["lines", "bars", "heat", "contour"])
@pytest.mark.parametrize("log", [(), ("x", "value")])
def test_a_single_value_can_be_drawn(runs, kind, log):
    study = curves(runs, lambda arm, depth, seed: [("", 1, 1 if kind in ("heat", "contour") else None, 2.0)],
        kind=kind, log=log, num_seeds=1)  # fmt: skip
    assert "<svg" in to_svg(chart_figure(study, "c"))


def test_hostile_declarations_are_drawn_as_text(runs):
    hostile = "$\\frac$ <script>\x1b[31m"
    words = {"title": hostile, "caption": hostile, "x": hostile, "y": hostile, "value": hostile}
    for kind in ("lines", "bars", "heat"):
        key = runs.trial(kind, charts={"c": declared("evaluator e", kind) | words})
        y = 1 if kind == "heat" else None
        runs.measurements(key, [("c", line, 1, y, 1.0) for line in ("$x_", "<b>")])
        svg = to_svg(chart_figure(read_study(kind, runs.folder), "c"))
        assert "<script>" not in svg
        assert "\x1b" not in svg


def test_a_chart_that_cannot_be_drawn_is_explained(runs):
    runs.trial(charts={"curve": declared("evaluator e", "lines")})
    study = read_study("s", runs.folder)
    with pytest.raises(SkiplabError, match=r"unknown chart 'curv'; valid: curve; did you mean 'curve'"):
        chart_figure(study, "curv")
    with pytest.raises(SkiplabError, match="'curve' has no values"):
        chart_figure(study, "curve")
