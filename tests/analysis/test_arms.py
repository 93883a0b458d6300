import pytest

from skiplab.analysis.study.arms import cells, with_arms
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError


def test_settings_below_the_factor_make_arms_not_cells(runs):
    runs.trial(choices={"connection": "plain"})
    for strength in (0.5, 1.0):
        runs.trial(choices={"connection": "scaled"}, factors={"connection.update_factor": strength})
    study = read_study("s", runs.folder)
    assert list(with_arms(study, "connection")["arm"].cat.categories) == [
        "plain",
        "scaled, update_factor 0.5",
        "scaled, update_factor 1",
    ]
    assert cells(study, "connection") == [{}]


def test_an_unknown_factor_names_those_that_vary(fill):
    study = read_study("s", fill(effect=0.1, num_seeds=1).folder)
    with pytest.raises(SkiplabError, match=r"unknown factor 'dept'.*long_skip, depth|unknown factor 'dept'.*depth"):
        cells(study, "connection", wanted={"dept": ["4"]})
