"""Results that skiplab did not train: judged as SciPy does, and shown by every command that takes a study."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import skiplab
from command_line import run_command
from conftest import fill_study
from shell_lines import fenced
from skiplab.analysis.claims.compare_command import compare
from skiplab.analysis.claims.study_claims import study_claims
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.page.report import drawable, report_page
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.comparison import NO_SELECTION, Selection
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.analysis.tables.effects_table import effects_table
from skiplab.analysis.text import interval_text
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric

ROOT = Path(__file__).resolve().parents[2]


def results(
    arms: tuple[str, ...] = ("plain", "residual"), num_seeds: int = 6, depths: tuple[int, ...] = (4, 8), seed: int = 0
) -> pd.DataFrame:
    """A table with columns of other names; the second arm is better, and arms share what a seed does."""
    draw = np.random.default_rng(seed)
    luck = draw.normal(size=num_seeds)
    rows = [
        {
            "net": arm,
            "run seed": number,
            "depth": depth,
            "val/loss": 1.0 - 0.1 * arms.index(arm) + 0.05 * luck[number] + 0.02 * draw.normal(),
            "acc": 0.9 + 0.01 * draw.normal(),
        }
        for arm, number, depth in itertools.product(arms, range(num_seeds), depths)
    ]
    return pd.DataFrame(rows)


def study_of(frame: pd.DataFrame, **options):
    given = {"arm": "net", "seed": "run seed", "metrics": {"val/loss": "lower", "acc": "higher"}, "factors": ["depth"]}
    return skiplab.from_frame(frame, **given | options)


def two_arms(frame: pd.DataFrame, depth: int, metric: str = "val/loss") -> tuple[np.ndarray, np.ndarray]:
    own = frame.loc[frame["depth"] == depth].sort_values("run seed")
    return tuple(own.loc[own["net"] == arm, metric].to_numpy() for arm in ("plain", "residual"))


def test_a_page_draws_the_curves_of_the_lowest_seeds_of_many_runs(monkeypatch) -> None:
    frame = results(num_seeds=4, depths=(4,))
    runs = frame[["net", "run seed", "depth"]]
    history = pd.concat([runs.assign(step=step, metric="loss", value=1.0 / (1 + step)) for step in range(3)])
    monkeypatch.setattr("skiplab.analysis.page.report._MOST_DRAWN", 4)
    study = study_of(frame, history=history)
    drawn, left_out = drawable(study)
    assert sorted(drawn.trials["seed"]) == [0, 0, 1, 1]
    assert set(drawn.history["key"]) <= set(drawn.trials["key"])
    assert left_out in report_page(study)


def test_pairs_are_judged_as_scipy_does() -> None:
    frame = results()
    verdicts = compare(study_of(frame), Selection(metrics=["val/loss"]))
    cells = [cell.parts[0] for cell in verdicts[0].cells]
    for cell, depth in zip(cells, (4, 8), strict=True):
        plain, residual = two_arms(frame, depth)
        found = scipy.stats.ttest_rel(plain, residual)
        low, high = found.confidence_interval()
        assert (cell.interval.low, cell.interval.high) == pytest.approx((low, high))
        assert cell.p.supported >= scipy.stats.ttest_rel(plain, residual, alternative="greater").pvalue
    own = [scipy.stats.ttest_rel(*two_arms(frame, depth), alternative="greater").pvalue for depth in (4, 8)]
    assert min(cell.p.supported for cell in cells) == pytest.approx(2 * min(own))
    assert verdicts[0].caveats == ("settings unknown", "exploratory: no claims file")


@pytest.mark.parametrize("how", ["other seeds", "no seeds"])
def test_arms_without_pairs_are_judged_as_welch_does(how: str) -> None:
    frame = results(depths=(4,))
    frame.loc[frame["net"] == "residual", "run seed"] += 100
    frame = frame.drop(index=0)  # arms of unequal size
    study = study_of(frame, factors=(), **({"seed": None} if how == "no seeds" else {}))
    (cell,) = (cell.parts[0] for cell in compare(study, Selection(metrics=["val/loss"]), 0.01)[0].cells)
    plain, residual = two_arms(frame, 4)
    low, high = scipy.stats.ttest_ind(plain, residual, equal_var=False).confidence_interval()
    assert (cell.interval.low, cell.interval.high) == pytest.approx((low, high))
    expected = scipy.stats.ttest_ind(plain, residual + 0.01, equal_var=False, alternative="greater").pvalue
    assert cell.p.supported == pytest.approx(expected)
    other = scipy.stats.ttest_ind(plain + 0.01, residual, equal_var=False, alternative="less").pvalue
    assert cell.p.contradicted == pytest.approx(other)
    assert cell.interval.n == 5
    assert any("share no seed: compared as unpaired (Welch), 5 of plain, 6 of residual" in note for note in cell.notes)
    row = comparison_table(study, metrics=["val/loss"]).frame.iloc[0]
    assert (row["low"], row["high"], row["paired"]) == (pytest.approx(-high), pytest.approx(-low), False)


def test_effects_of_arms_without_pairs_are_welch_s() -> None:
    frame = results(depths=(4, 8))
    frame.loc[frame["net"] == "residual", "run seed"] += 100
    table = effects_table(study_of(frame), "val/loss").set_index("effect_of")
    assert not table["paired"].any()
    wide = frame.pivot(index=["net", "run seed"], columns="depth", values="val/loss")
    for label, values in {
        "net residual over plain": wide.mean(axis="columns"),
        "net residual over plain × depth, per doubling": wide[8] - wide[4],
    }.items():
        found = scipy.stats.ttest_ind(values["residual"], values["plain"], equal_var=False)
        low, high = found.confidence_interval()
        assert tuple(table.loc[label, ["low", "high", "p"]]) == pytest.approx((low, high, found.pvalue))
    depth = table.loc["depth, per doubling"]
    assert depth["effect"] == pytest.approx((wide[8] - wide[4]).groupby("net").mean().mean())


def test_folds_pair_runs_and_their_seeds_are_averaged() -> None:
    frame = results(depths=(4, 8)).rename(columns={"run seed": "fold", "depth": "seed"})
    study = skiplab.from_frame(frame, arm="net", pair_by="fold", metrics={"val/loss": "lower"})
    (cell,) = (cell.parts[0] for cell in compare(study, NO_SELECTION)[0].cells)
    means = frame.groupby(["net", "fold"])["val/loss"].mean()
    low, high = scipy.stats.ttest_rel(means["plain"], means["residual"]).confidence_interval()
    assert (cell.interval.low, cell.interval.high, cell.interval.n) == (pytest.approx(low), pytest.approx(high), 6)


def test_means_of_folds_are_over_the_seeds_that_both_arms_have() -> None:
    rows = [(arm, fold, seed) for arm in ("plain", "residual") for fold in range(6) for seed in range(3)]
    frame = pd.DataFrame(rows, columns=["arm", "fold", "seed"])
    noise = np.random.default_rng(0).normal(0, 0.01, len(frame))
    frame["loss"] = 1 + 0.1 * frame["fold"] + 0.5 * frame["seed"] + noise  # the same for both arms
    fewer = frame.loc[(frame["arm"] == "plain") | (frame["seed"] == 0)]
    study = skiplab.from_frame(fewer, pair_by="fold", metrics={"loss": "lower"})
    assert abs(study.table("loss").frame["effect"].iloc[0]) < 0.02
    assert [problem.where for problem in study.problems] == ["12 runs"]
    apart = frame.loc[(frame["arm"] == "plain") == (frame["seed"] > 0)]  # the arms share no seed
    for each in (frame, apart):
        study = skiplab.from_frame(each, pair_by="fold", metrics={"loss": "lower"})
        means = each.groupby("arm")["loss"].mean()
        assert study.table("loss").frame["effect"].iloc[0] == pytest.approx(means["residual"] - means["plain"])
        assert not study.problems


def test_a_log_metric_is_averaged_and_compared_as_ratios() -> None:
    frame = results(depths=(4, 8)).rename(columns={"run seed": "fold", "depth": "seed"})
    fid = {"val/loss": Metric(label="FID", direction="lower", scale="log")}
    row = comparison_table(skiplab.from_frame(frame, arm="net", pair_by="fold", metrics=fid)).frame.iloc[0]
    logs = np.log(frame["val/loss"]).groupby([frame["net"], frame["fold"]]).mean()
    assert row["effect"] == pytest.approx(np.exp((logs["residual"] - logs["plain"]).mean()))


def test_cross_validation_of_two_models_of_scikit_learn(tmp_path, monkeypatch) -> None:
    """As a user would: scores per fold in a CSV file, judged by `skiplab compare`."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = load_breast_cancer(return_X_y=True)
    scores = {}
    for name, model in {"knn": KNeighborsClassifier(), "logistic": LogisticRegression()}.items():
        scores[name] = cross_val_score(make_pipeline(StandardScaler(), model), features, labels, cv=10)
    rows = [(name, fold, score) for name, own in scores.items() for fold, score in enumerate(own)]
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(rows, columns=["model", "fold", "accuracy"]).to_csv("cv.csv", index=False)
    ended = run_command(["compare", "cv.csv", "--arm", "model", "--pair-by", "fold", "--metric", "accuracy:higher"])
    low, high = scipy.stats.ttest_rel(scores["logistic"], scores["knn"]).confidence_interval()
    assert ended.code == 0
    assert interval_text(low, high) in ended.text
    assert "exploratory" in ended.text


def test_printed_runs_of_a_paper_are_judged_in_pairs() -> None:
    """The runs of a re-implementation of He et al. 2015, one of each depth: plain and residual networks by depth."""
    printed = pd.read_csv(ROOT / "experiments" / "he2015_resnet" / "expected.csv")
    own = printed.loc[printed["table"] == "re-implementation a-martyn"]
    own = own.assign(error=own["value"].astype(float))
    own[["net", "layers"]] = own["arm"].str.split("-", expand=True).to_numpy()
    study = skiplab.from_frame(own, arm="net", pair_by="layers", seed=None, metrics={"error": "lower"})
    (cell,) = (cell.parts[0] for cell in compare(study, NO_SELECTION)[0].cells)
    wide = own.pivot(index="layers", columns="net", values="error")
    found = scipy.stats.ttest_rel(wide["plain"], wide["resnet"], alternative="greater")
    assert cell.p.supported == pytest.approx(found.pvalue)
    assert cell.interval.n == 4


def test_columns_may_have_any_name() -> None:
    """Names that trials and tables use themselves, and dots, which make a setting of an option."""
    names = ["arm", "key", "n", "scale", "control", "seed", "status", "step", "value", "arm.x", "loss_zero"]
    for arm, factor, metric in zip(names, [*names[3:], *names[:3]], [*names[5:], *names[:5]], strict=True):
        frame = results(num_seeds=3).rename(columns={"net": arm, "depth": factor, "val/loss": metric})
        study = skiplab.from_frame(
            frame, arm=arm, factors=[factor], seed="run seed", metrics={metric: "lower"}, name="names"
        )
        table = comparison_table(study).frame
        assert list(table["n"]) == [3, 3], (arm, factor, metric)
        assert set(table["treatment"]) == {"residual"}
        assert next(iter(study.metrics.values())).label == metric


def test_the_control_may_be_named_as_the_level_that_it_is() -> None:
    runs = pd.DataFrame({"arm": [0, 1] * 4, "seed": [0, 0, 1, 1, 2, 2, 3, 3], "loss": [1.0, 2, 1.1, 2, 1, 2.1, 1.2, 2]})
    study = skiplab.from_frame(runs, metrics={"loss": "lower"})
    for control in (0, 1):
        assert list(study.table("loss", control=control).frame["treatment"]) == [str(1 - control)]
    assert "supported" in str(study.compare("loss", control=1))
    for control in (2, 0.5, True):
        with pytest.raises(SkiplabError, match=r"unknown control .*; valid: 0, 1"):
            study.compare("loss", control=control)


def test_a_run_without_a_number_leaves_no_verdict_on_survivors() -> None:
    frame = results(depths=(4,))
    frame.loc[3, "val/loss"] = np.nan
    study = study_of(frame, factors=())
    verdict = compare(study, Selection(metrics=["val/loss"]))[0]
    assert verdict.conclusion == "inconclusive"
    assert "no verdict on survivors alone" in " ".join(verdict.cells[0].parts[0].notes)
    assert "the table has no finite number" in report_page(study)


def test_runs_that_failed_are_told(tmp_path) -> None:
    frame = results(depths=(4,)).assign(state="finished")
    frame.loc[2, "state"] = "crashed"
    row = comparison_table(study_of(frame, factors=(), status="state"), metrics=["val/loss"]).frame.iloc[0]
    assert row["notes"] == "plain: 1 failed; 1 of 6 seeds lack a pair"


CLAIMS = """
factor: net
control: plain
treatment: residual
claims:
  - {name: c, text: Residual networks have a lower loss., metric: val/loss, contrast: difference, direction: lower}
"""


def test_a_claims_file_judges_a_table_and_says_that_its_age_is_unknown(tmp_path) -> None:
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    study = study_of(results(), folder=tmp_path / "own")
    claims = study_claims(study, tmp_path / "claims.yaml")
    assert claims is not None
    (verdict,) = judge(study, claims)
    assert "exploratory: nothing says when these runs were started" in verdict.caveats
    assert not (tmp_path / "own").exists()


def test_curves_and_layers_are_drawn(tmp_path) -> None:
    frame = results(num_seeds=2)
    keys = frame[["net", "run seed", "depth"]]
    history = pd.concat(
        keys.assign(step=step, metric=metric, value=1 / (1 + step)) for step in range(9) for metric in ("loss", "acc")
    )
    layers = pd.concat(keys.assign(path=f"layer {place}", quantity="norm", value=1.0 + place) for place in range(3))
    study = study_of(frame, history=history, layers=layers)
    assert len(study.history) == len(history)
    page = report_page(study)
    assert all(title in page for title in ("Training loss", ">acc<", ">norm<"))
    for what, wrong in {"no run of the table": {"net": "other"}, "no whole step": {"step": 0.5}}.items():
        with pytest.raises(SkiplabError, match=what):
            study_of(frame, history=history.assign(**wrong))
    with pytest.raises(SkiplabError, match="has no column step"):
        study_of(frame, history=history.drop(columns="step"))


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_each_format_gives_the_same_table(ending: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = results()
    write = {
        "csv": lambda path: frame.to_csv(path, index=False, sep=";"),
        "tsv": lambda path: frame.to_csv(path, index=False, sep="\t"),
        "parquet": frame.to_parquet,
        "jsonl": lambda path: frame.to_json(path, orient="records", lines=True, double_precision=15),
    }
    write[ending](f"mine.{ending}")
    words = ["--arm", "net", "--seed", "run seed", "--by", "depth", "--metric", "val/loss:lower"]
    ended = run_command(["table", f"mine.{ending}", *words])
    assert ended.code == 0, ended.text
    written = pd.read_csv("mine-skiplab/table.csv")
    expected = comparison_table(study_of(frame), metrics=["val/loss"]).frame
    assert list(written["effect"]) == pytest.approx(list(expected["effect"]))


def test_every_command_takes_a_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    results().to_csv("mine.csv", index=False)
    words = ["mine.csv", "--arm", "net", "--seed", "run seed", "--by", "depth", "--metric", "val/loss:lower"]
    for command, written in {"effects": "effects.csv", "report": "report.html", "figures": "figures.md"}.items():
        ended = run_command([command, *words])
        assert ended.code == 0, ended.text
        assert list(Path("mine-skiplab").rglob(written))
    page = Path("mine-skiplab/report.html").read_text()
    assert "All arms cost as much" not in page  # nobody knows
    assert "Provenance" not in page
    ended = run_command(["compare", *words, "--smallest-effect", "0.5"])
    assert "no meaningful difference" in ended.text


def test_a_study_of_skiplab_s_own_is_compared_too(runs) -> None:
    fill_study(runs, effect=0.1)
    ended = run_command(["compare", "s", "--metric", "skill_train", "--runs-dir", str(runs.folder)])
    assert "identity has higher skill_train than plain" in ended.text
    assert "exploratory: no claims file" in " ".join(ended.text.split())
    verdicts = compare(read_study("s", runs.folder), Selection(metrics=["skill_train"]))
    assert [cell.conclusion for cell in verdicts[0].cells].count("supported") >= 4
    ended = run_command(["compare", "s", "--metric", "skill_train", "--arm", "x", "--runs-dir", str(runs.folder)])
    assert (ended.code, "names columns of a file" in ended.text) == (1, True)


def test_the_python_of_the_page_runs(tmp_path, monkeypatch, capsys) -> None:
    script, judged = (text for text in fenced(ROOT / "docs" / "own_results.md") if "import" in text)
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    exec(judged, {})
    assert "; supported in both cells." in capsys.readouterr().out
    assert Path("results-skiplab/report.html").exists()


def test_no_torch_is_needed() -> None:
    code = (
        "import sys, pandas, skiplab; f = pandas.DataFrame({'arm': list('aabb'), 'seed': [0, 1] * 2, 'x': range(4)});"
        "skiplab.from_frame(f, metrics={'x': 'lower'}); from skiplab import cli; print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
