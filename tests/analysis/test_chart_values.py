import math

import numpy as np
import pandas as pd
import pytest
from example_charts import declared

from skiplab.analysis.figures.chart_values import MOST_POINTS, chart_panels, chart_values, step_windows
from skiplab.analysis.study.study import read_study


def readings(runs, key, rows):
    lines = [",".join(map(str, row)) for row in rows]
    runs.write(key, "layers.csv", "\n".join(["step,index,path,quantity,value", *lines]) + "\n")


def test_readings_over_places_are_geometric_means_over_steps_on_a_log_axis(runs):
    rows = [(0, 0, "a", "norm", 1.0), (5, 0, "a", "norm", 4.0), (0, 1, "b", "norm", 3.0), (0, 4, "c", "norm", 5.0)]
    for name, kind, expected in (("s", ("lines", "value"), 2.0), ("t", ("lines",), 2.5)):
        key = runs.trial(name, charts={"norm": declared("instrument one", *kind)})
        readings(runs, key, rows)
        values = chart_values(read_study(name, runs.folder), "norm")
        assert dict(zip(values["x"], values["value"], strict=True)) == pytest.approx({0.0: expected, 0.25: 3, 1: 5})


def test_a_reading_with_a_line_belongs_to_the_chart_of_its_quantity(runs):
    key = runs.trial(charts={"norm": declared("instrument one", "lines")})
    readings(runs, key, [(0, 0, "a", quantity, 1.0) for quantity in ("norm.low noise", "norm.v1.5", "norms", "other")])
    assert chart_values(read_study("s", runs.folder), "norm")["line"].tolist() == ["low noise", "v1.5"]


def test_readings_of_a_heat_map_lie_over_windows_of_steps(runs):
    key = runs.trial(charts={"norm": declared("instrument one", "heat")})
    readings(runs, key, [(step, index, f"b{index}", "norm", step) for step in range(200) for index in range(3)])
    values = chart_values(read_study("s", runs.folder), "norm")
    assert sorted(values["y"].unique()) == [0.0, 0.5, 1.0]
    assert values["x"].nunique() == 50  # windows of 4 steps
    np.testing.assert_allclose(values["value"], values["x"])  # the mean step of a window is its middle


def test_what_an_axis_cannot_show_is_left_out(runs):
    charts = {
        "both": declared("evaluator e", "lines", "x", "value"),
        "linear": declared("evaluator e", "lines"),
        "surface": declared("evaluator e", "heat"),
    }
    key = runs.trial(charts=charts)
    pairs = [(1, 2), (0, 2), (-1, 2), (1.5, 0), (2, -1), (3, "nan"), (4, "inf"), (5, 6)]
    rows = [(name, "", x, None, value) for name in ("both", "linear") for x, value in pairs]
    runs.measurements(key, [*rows, ("surface", "", 1, None, 1.0), ("surface", "", 1, 2, 1.0)])
    study = read_study("s", runs.folder)
    assert chart_values(study, "both")["x"].tolist() == [1, 5]
    assert chart_values(study, "linear")["x"].tolist() == [1, 0, -1, 1.5, 2, 5]
    assert chart_values(study, "surface")["y"].tolist() == [2]


def test_a_panel_is_a_cell_that_has_values(runs):
    for depth in (4, 8, 16):
        for arm in ("plain", "identity"):
            charts = {"curve": declared("evaluator e", "lines")}
            key = runs.trial(choices={"connection": arm}, factors={"depth": depth}, charts=charts)
            if depth != 8:
                runs.measurements(key, [("curve", "", 0, None, 1.0)])
    panels = chart_panels(read_study("s", runs.folder), "curve", "connection")
    assert [panel.title for panel in panels] == ["depth 4", "depth 16"]
    assert all(sorted(panel.values["arm"]) == ["identity", "plain"] for panel in panels)


def test_a_chart_without_a_file_has_no_values(runs):
    charts = {"a": declared("evaluator e", "lines"), "b": declared("instrument i", "heat", "value")}
    runs.trial(charts=charts)
    study = read_study("s", runs.folder)
    assert [len(chart_values(study, name)) for name in charts] == [0, 0]


def test_windows_of_steps_keep_to_their_number():
    for last in (0, 59, 60, 12_345):
        middles = step_windows(pd.Series(range(last + 1)))
        assert middles.nunique() <= MOST_POINTS
        assert (middles - pd.Series(range(last + 1))).abs().max() <= math.ceil((last + 1) / MOST_POINTS) / 2
