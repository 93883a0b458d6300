"""The grid of rates, its widening, and the best of a curve, against what can be worked out by hand."""

import math

import pytest

from skiplab.tuning.rates import RateGrid, best_of


def test_five_rates_lie_a_factor_apart_around_the_centre() -> None:
    assert RateGrid(2e-3, 5, math.sqrt(10), 3).rates == (0.0002, 0.00063, 0.002, 0.0063, 0.02)
    assert RateGrid(1.6, 6, 2.0, 3).rates == (0.2, 0.4, 0.8, 1.6, 3.2, 6.4)


def test_the_presets_own_rate_keeps_all_its_digits() -> None:
    assert 0.00123456 in RateGrid(0.00123456, 5, 2.0, 0).rates


@pytest.mark.parametrize(
    ("edges", "rates"),
    [
        (["inside", "lowest"], (0.12, 0.25, 0.5, 1.0, 2.0, 4.0)),
        (["highest", "inside"], (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)),
        (["lowest", "highest"], (0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)),
        (["both"], (0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)),
    ],
)
def test_the_grid_grows_on_the_side_of_a_best_at_the_edge(edges, rates) -> None:
    search = RateGrid(1.0, 5, 2.0, 1)
    assert search.widen(edges)
    assert search.rates == rates


def test_the_grid_grows_no_further_than_it_may_nor_without_need() -> None:
    search = RateGrid(1.0, 5, 2.0, 1)
    assert not search.widen(["inside", "inside"])
    assert search.widen(["lowest"])
    assert not search.widen(["lowest"])
    assert (len(search.rates), search.num_widened) == (6, 1)


def test_the_best_rate_is_that_of_the_highest_mean_over_seeds() -> None:
    best = best_of({0.1: [0.2, 0.4], 1.0: [0.0, 0.7], 10.0: [0.3, 0.1]})
    assert (best.rate, best.value, best.edge) == (1.0, 0.35, "inside")


def test_a_best_at_an_end_says_at_which() -> None:
    assert best_of({0.1: [0.5], 1.0: [0.4], 10.0: [0.1]}).edge == "lowest"
    assert best_of({0.1: [0.1], 1.0: [0.4], 10.0: [0.5]}).edge == "highest"


def test_where_nothing_learns_the_middle_is_taken_and_both_ends_are_edges() -> None:
    best = best_of({rate: [0.0, 0.0] for rate in (0.01, 0.1, 1.0, 10.0, 100.0)})
    assert (best.rate, best.edge) == (1.0, "both")


def test_the_window_holds_the_rates_in_a_row_that_reach_nine_tenths_of_the_best() -> None:
    curve = {0.01: [0.6], 0.1: [0.1], 1.0: [0.55], 10.0: [0.61], 100.0: [0.5]}
    window = best_of(curve).window  # 0.01 is good again, but beyond a bad one
    assert (window.lowest, window.highest, window.at_least) == (1.0, 10.0, False)
    assert window.decades == pytest.approx(1.0)


def test_a_window_that_touches_the_end_of_the_grid_may_be_wider() -> None:
    window = best_of({0.1: [0.1], 1.0: [0.6], 10.0: [0.58]}).window
    assert (window.lowest, window.highest, window.at_least) == (1.0, 10.0, True)
