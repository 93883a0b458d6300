"""What measurements declare: names that are theirs alone, a figure each, and metrics that exist."""

from collections import Counter

import pytest

from option_files import options
from skiplab.training.factory import factory
from tiny_trials import compose_config

# Evaluators that measure different kinds of networks may share a metric's name, since no trial has both.
SHARED = {"loss_train", "loss_val", "skill_train", "skill_val"}
KINDS = ("instrument", "evaluator")


@pytest.fixture(scope="module")
def everything() -> dict[str, object]:
    """Every instrument and evaluator by name."""
    config = compose_config(*(f"{kind}=[{','.join(options(kind))}]" for kind in KINDS)).config
    return {f"{kind} {name}": factory(node, object)() for kind in KINDS for name, node in config[kind].items()}


def test_no_two_declare_the_same_metric_or_chart(everything) -> None:
    for declared in ("metrics", "charts"):
        counts = Counter(name for each in everything.values() for name in getattr(each, declared))
        assert {name for name, count in counts.items() if count > 1} <= SHARED, declared


def test_every_instrument_has_a_figure_of_its_own(everything) -> None:
    for name, each in everything.items():
        assert each.charts or name == "evaluator sample_grid", name


def test_outcomes_and_lower_bounds_name_metrics_of_the_same_file(everything) -> None:
    for name, each in everything.items():
        for chart, declared in each.charts.items():
            assert declared.kind != "outcome" or chart in each.metrics, f"{name}: {chart}"
        for metric, declared in each.metrics.items():
            assert declared.reached is None or declared.reached in each.metrics, f"{name}: {metric}"


def test_a_count_has_its_exposure_beside_it_and_nothing_else_has_one(everything) -> None:
    counts = 0
    for name, each in everything.items():
        for metric, declared in each.metrics.items():
            counts += declared.kind == "count"
            assert (declared.kind == "count") == (declared.exposure is not None), f"{name}: {metric}"
            assert declared.exposure is None or declared.exposure in each.metrics, f"{name}: {metric}"
    assert counts > 0


def test_events_and_what_says_whether_a_value_was_reached_are_0_or_1(everything) -> None:
    for name, each in everything.items():
        told = {declared.reached for declared in each.metrics.values()} - {None}
        for metric, declared in each.metrics.items():
            assert declared.kind == "event" or metric not in told, f"{name}: {metric}"
            assert declared.kind != "event" or declared.scale == "bounded", f"{name}: {metric}"
            assert declared.kind != "event" or declared.if_diverged in (0, 1, "measured"), f"{name}: {metric}"


def test_every_option_says_which_of_its_metrics_are_mechanisms(everything) -> None:
    """As docs/options.md lists them; stability is how training went, and the other instruments look inside."""
    for name, each in everything.items():
        roles = {declared.role for declared in each.metrics.values()}
        if name.startswith("instrument"):
            assert roles <= ({"outcome"} if name == "instrument stability" else {"mechanism"}), name


def test_axes_of_every_chart_are_named(everything) -> None:
    for name, each in everything.items():
        for chart, declared in each.charts.items():
            needed = {"lines": "x value", "bars": "x value", "heat": "x y value", "contour": "x y value", "outcome": ""}
            assert all(getattr(declared, axis) for axis in needed[declared.kind].split()), f"{name}: {chart}"
            assert declared.title, f"{name}: {chart}"
            assert declared.caption.endswith("."), f"{name}: {chart}"


def test_instruments_charts_draw_what_they_read(everything, run, tmp_path) -> None:
    """Each chart but outcomes is a quantity that a real trial reads, and each metric that sums it up is declared."""
    steps = "trainer.max_steps=11"  # by then each has measured at its default schedule
    trial = run(tmp_path, f"instrument=[{','.join(options('instrument'))}]", "evaluator=[]", "depth=8", steps)
    content = trial.record.read()
    rows = (trial.record.folder / "layers.csv").read_text().splitlines()[1:]
    read = {row.split(",")[3].split(".")[0] for row in rows}
    instruments = [each for name, each in everything.items() if name.startswith("instrument")]
    charts = {name: chart for each in instruments for name, chart in each.charts.items()}
    assert {name for name, chart in charts.items() if chart.kind != "outcome"} <= read
    assert set(content["summary"]) <= {name for each in instruments for name in each.metrics}
    assert set(content["charts"]) == set(charts)
