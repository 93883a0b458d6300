import math
import shutil

import pandas as pd
import pytest
from example_charts import declared

from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError


def test_factors_are_what_varies(runs):
    for connection in ("plain", "scaled"):
        for depth in (4, 8):
            for seed in (0, 1):
                own = {"connection.factor": 0.5} if connection == "scaled" else {}
                runs.trial(
                    seed=seed,
                    choices={"connection": connection, "logger": connection},  # a logger is no factor
                    factors={"depth": depth, "scheduler.depth": depth, "width": 16, **own},
                )
    study = read_study("s", runs.folder)
    assert study.factors == ("connection", "depth")
    assert study.constants["width"] == 16
    assert list(study.trials["connection"].cat.categories) == ["plain", "scaled"]
    assert pd.api.types.is_integer_dtype(study.trials["depth"])


def test_a_setting_counts_where_it_varies_within_its_axis(runs):
    runs.trial(choices={"connection": "scaled"}, factors={"connection.factor": 0.5})
    runs.trial(choices={"connection": "scaled"}, factors={"connection.factor": 1})
    runs.trial(choices={"connection": "plain"})
    assert read_study("s", runs.folder).factors == ("connection", "connection.factor")


def test_one_and_one_point_zero_are_one_level(runs):
    runs.trial(factors={"lr": 1})
    runs.trial(seed=1, factors={"lr": 1.0})
    assert read_study("s", runs.folder).factors == ()


def test_unknown_study_names_the_valid_ones(runs):
    runs.trial("residual")
    with pytest.raises(SkiplabError, match=r"no study 'residul'.*valid: residual; did you mean 'residual'"):
        read_study("residul", runs.folder)
    with pytest.raises(SkiplabError, match="holds no studies"):
        read_study("residual", runs.folder / "elsewhere")
    with pytest.raises(SkiplabError, match="no study"):
        read_study("../s", runs.folder)


def test_what_cannot_be_read_is_listed_and_the_rest_is_read(runs):
    good = runs.trial(seed=0, summary={"loss_val": 0.25})
    torn = runs.trial(seed=1)
    (runs.folder / torn / "record.json").write_text('{"key": "')
    foreign = runs.trial(seed=2)
    (runs.folder / foreign / "record.json").write_text('{"key": "0123456789abcdef", "status": "done"}')
    gone = runs.trial(seed=3)
    shutil.rmtree(runs.folder / gone)
    runs.list_key("s", good)  # listed twice
    runs.list_key("s", "../../etc/passwd")
    study = read_study("s", runs.folder)
    assert study.trials["key"].tolist() == [good]
    assert study.trials["loss_val"].tolist() == [0.25]
    where = " ".join(f"{problem.where}: {problem.reason}" for problem in study.problems)
    assert len(study.problems) == 4
    for name in (torn, foreign, gone, "etc/passwd"):
        assert name in where


def test_unfinished_trials_are_kept(runs):
    runs.trial(seed=0, status="failed")
    runs.trial(seed=1, status="running")
    runs.trial(seed=2, status="diverged")
    runs.trial(seed=3, status="interrupted")
    trials = read_study("s", runs.folder).trials
    assert trials["status"].tolist() == ["failed", "running", "diverged", "interrupted"]
    assert "no good" in trials["error"][0]
    assert trials["diverged_step"].tolist()[2] == 7


def test_a_null_is_no_number(runs):
    runs.trial(summary={"loss_val": None})
    assert math.isnan(read_study("s", runs.folder).trials["loss_val"][0])


def test_a_metric_named_like_a_factor_is_left_out_and_its_trials_stay(runs):
    runs.trial(factors={"depth": 4}, summary={"depth": 1.0, "loss_val": 0.5})
    runs.trial(factors={"depth": 8}, summary={"depth": 1.0, "loss_val": 0.25})
    runs.trial(factors={"depth": 8}, seed=1, summary={"arm": 2.0})
    for _ in range(2):  # the second time from the cache
        study = read_study("s", runs.folder)
        assert study.trials["depth"].tolist() == [4, 8, 8]
        assert study.trials["loss_val"].tolist()[:2] == [0.5, 0.25]
        assert set(study.metrics) == {"loss_val"}
        assert [problem.where for problem in study.problems] == ["metric arm", "metric depth"]
        assert "named like a factor" in study.problems[1].reason


def test_torn_tails_and_repeated_rows(runs):
    key = runs.trial()
    runs.write(key, "history.csv", "step,metric,value\n0,loss,1.0\n1,loss,0.9\n1,loss,0.5\n2,loss,0.44")
    runs.write(
        key,
        "layers.csv",
        "step,index,path,quantity,value\n0,0,a,norm,1\n0,1,b,norm,2\n0,0,a,norm,3\n0,1,b,no",
    )
    study = read_study("s", runs.folder)
    assert study.history[["step", "value"]].to_numpy().tolist() == [[0, 1.0], [1, 0.5]]
    assert dict(zip(study.layers["path"], study.layers["value"], strict=True)) == {"b": 2.0, "a": 3.0}
    assert study.series_problems == ()


def test_bad_rows_are_counted_and_left_out(runs):
    key = runs.trial()
    runs.write(key, "history.csv", "step,metric,value\n0,loss,1.0\nx,loss,0.9\n2,loss,zero,1\n3,loss,nan\n4,loss,inf\n")
    study = read_study("s", runs.folder)
    assert study.history["step"].tolist() == [0, 3, 4]
    assert "2 rows" in study.series_problems[0].reason


def test_a_foreign_table_is_a_problem(runs):
    key = runs.trial()
    runs.write(key, "layers.csv", "a,b\n1,2\n")
    study = read_study("s", runs.folder)
    assert study.layers.empty
    assert "header" in study.series_problems[0].reason


def test_measurements_are_read_with_what_names_their_lines(runs):
    key = runs.trial()
    runs.measurements(key, [("curve", "None", 0.5, None, 2.0), ("map", "", -1, 0.25, "nan")])
    found = read_study("s", runs.folder).measurements
    assert list(found.columns) == ["key", "evaluator", "chart", "line", "x", "y", "value"]
    assert found["line"].tolist() == ["None", ""]
    assert found[["x", "y", "value"]].fillna(-9).to_numpy().tolist() == [[0.5, -9, 2.0], [-1.0, 0.25, -9]]


def test_bad_measurements_are_counted_and_left_out(runs):
    key = runs.trial()
    runs.measurements(key, [("curve", "", 0.5, None, 2.0), ("curve", "", "x", None, 1.0), ("curve", "", 1.5, "", 3)])
    study = read_study("s", runs.folder)
    assert study.measurements["x"].tolist() == [0.5, 1.5]
    assert "1 rows" in study.series_problems[0].reason


def test_charts_come_in_the_order_in_which_they_are_declared(runs):
    runs.trial(seed=0, charts={"b": declared("evaluator one", "lines", "value")})
    runs.trial(seed=1, charts={name: declared("instrument two", "heat") for name in ("c", "a")})
    study = read_study("s", runs.folder)
    assert list(study.charts) == ["b", "c", "a"]
    assert study.charts["b"].log == ("value",)
    assert study.measured_by == {"b": "evaluator one", "c": "instrument two", "a": "instrument two"}
    assert study.problems == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": "pie"}, "kind is 'pie'; valid: 'lines'"),
        ({"log": ["z"]}, "log.0 is 'z'; valid: 'x' or 'value'"),
        ({"log": 3}, "log is 3; valid: a list"),
        ({"caption": None}, "caption is None; valid: text"),
    ],
)
def test_a_chart_that_is_no_chart_is_a_problem(runs, changed, reason):
    runs.trial(charts={"bad": declared("evaluator one", "lines") | changed, "good": declared("evaluator one", "bars")})
    study = read_study("s", runs.folder)
    assert list(study.charts) == ["good"]
    (problem,) = study.problems
    assert problem.where.startswith("chart bad of ")
    assert reason in problem.reason


def test_a_chart_that_is_drawn_otherwise_later_is_a_problem(runs):
    for seed, kind in enumerate(("lines", "bars")):
        runs.trial(seed=seed, charts={"one": declared("evaluator one", kind)})
    study = read_study("s", runs.folder)
    assert study.charts["one"].kind == "lines"
    assert "declared it differently" in study.problems[0].reason


def test_words_may_be_mended_between_two_trials(runs):
    for seed, words in enumerate(("Bad words.", "Good words.")):
        runs.trial(seed=seed, charts={"one": declared("evaluator one", "lines") | {"caption": words}})
    assert read_study("s", runs.folder).problems == ()


def test_several_studies_are_read_as_one(runs):
    for seed in range(4):
        for arm in ("plain", "identity"):
            summary = {"skill_train": 0.5 + 0.1 * (arm == "identity")}
            runs.trial("a" if seed < 3 else "b", seed=seed, choices={"connection": arm}, summary=summary)
    shared = runs.trial("b", seed=0, choices={"connection": "plain"}, summary={"skill_train": 0.5})
    runs.trial("b", seed=0, choices={"connection": "plain"}, factors={"depth": 8}, summary={"skill_train": 0.4})
    study = read_study("a,b", runs.folder)
    assert len(study.trials) == 9
    assert list(study.trials["key"]).count(shared) == 1
    assert study.factors == ("connection", "depth")
    assert not (study.folder / "keys.txt").exists()
    with pytest.raises(SkiplabError, match=r"no study 'c'.*valid: a, b"):
        read_study("a,c", runs.folder)


def test_whole_numbers_are_read_exactly_up_to_the_largest(runs):
    seeds = [2**53, 2**53 + 1, 2**63 - 2, 2**63 - 1]
    for seed in seeds:
        of_data = seed - 1  # another than the trial's, or it would be no factor
        runs.trial(seed=seed, factors={"data.seed": of_data, "limit": seed, "share": 0.5 if seed == 2**53 else seed})
        runs.trial(seed=seed, factors={"data.seed": of_data, "limit": None, "share": seed})
    for _ in range(2):  # from the records, and from what was kept of them
        trials = read_study("s", runs.folder).trials
        assert trials["seed"].tolist() == [seed for seed in seeds for _ in range(2)]
        assert trials["data.seed"].tolist() == [seed - 1 for seed in trials["seed"]]
        assert trials["limit"].tolist() == [text for seed in seeds for text in (str(seed), "null")]
        assert trials["share"].nunique() == 5


def test_a_number_that_no_frame_holds_is_listed_and_the_rest_is_read(runs):
    good = runs.trial()
    runs.trial(seed=2**63)
    runs.trial(factors={"data.seed": 2**63})
    study = read_study("s", runs.folder)
    assert study.trials["key"].tolist() == [good]
    assert [problem.reason for problem in study.problems] == [
        f"its {name} is {value}; valid: whole numbers up to {2**63 - 1}"
        for name, value in (("seed", 2**63), ("data.seed", 2**63))
    ]
