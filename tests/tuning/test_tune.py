"""`skiplab tune` gives all combinations one budget, on seeds of its own; a sweep takes over what it found."""

import json
import shutil

import pytest

from option_files import presets
from planted_tuning import BEST, CLIP, GRID, PRESET, STUDY, TUNING, refused, rows, skill, sweep, tune
from skiplab.cli import main
from skiplab.records.registrations import registrations
from skiplab.records.tuned import RATE, Combination, Tuned, Window, read_tuned, write_tuned
from skiplab.records.tuned_budget import budget_text
from skiplab.tuning.trials import TuningTrial, tidy


def test_each_arm_gets_the_rate_at_the_top_of_its_curve(searched) -> None:
    tuned = read_tuned(searched / TUNING / "tuned.yaml")
    found = {each.factors["connection"]: each for each in tuned.combinations}
    assert {arm: each.best for arm, each in found.items()} == {arm: {"optimizer.lr": lr} for arm, lr in BEST.items()}
    assert found["identity"].value == pytest.approx(0.8 + 0.0005)
    assert [each.edge for each in found.values()] == ["inside", "inside"]
    assert budget_text(len(tuned.rates), tuned.combinations) == "5 rates"
    assert tuned.shared["trainer.max_steps"] == 6
    assert len(list(searched.glob("*/record.json"))) == 2 * 5 * 2


def test_every_combination_has_every_rate_at_every_seed(planted, tmp_path) -> None:
    found = rows(tune(tmp_path, "--seeds", "9001,9002,9003"))
    tried = {(row["connection"], row["optimizer.lr"], row["seed"]) for row in found}
    assert len(found) == len(tried) == 2 * 5 * 3
    for row in found:
        planted_skill = skill(row["connection"], float(row["optimizer.lr"])) + 0.001 * (int(row["seed"]) % 2)
        assert float(row["skill_train"]) == pytest.approx(planted_skill)


def test_the_second_time_nothing_is_trained(searched, planted) -> None:
    first = read_tuned(searched / TUNING / "tuned.yaml")
    assert read_tuned(tune(searched) / "tuned.yaml").combinations == first.combinations
    assert not planted


def test_a_search_goes_on_where_it_was_broken_off(searched, planted) -> None:
    lost = sorted(path.parent.name for path in searched.glob("*/record.json"))[:3]
    for key in lost:
        shutil.rmtree(searched / key)
    tune(searched)
    assert sorted(planted) == lost


def test_a_best_at_the_edge_of_one_arm_widens_the_grid_of_all(planted, tmp_path) -> None:
    folder = tune(tmp_path, "optimizer.lr=0.02")  # 0.002 to 0.2: the top of plain lies below
    tuned = read_tuned(folder / "tuned.yaml")
    assert tuned.rates == (0.0002, 0.00063, 0.002, 0.0063, 0.02, 0.063, 0.2)
    assert tuned.widenings == 2
    assert {each.best["optimizer.lr"] for each in tuned.combinations} == set(BEST.values())
    assert len(rows(folder)) == 2 * 7 * 2


def test_widening_ends_at_its_bound_and_the_result_says_so(planted, tmp_path, capsys) -> None:
    tuned = read_tuned(tune(tmp_path, "optimizer.lr=0.2", "--widenings", "1") / "tuned.yaml")
    assert len(tuned.rates) == 6
    assert [each.edge for each in tuned.combinations] == ["lowest", "lowest"]
    assert "2 of 2 best rates are still at an edge" in capsys.readouterr().out


def test_a_diverged_trial_counts_with_no_skill(planted, tmp_path) -> None:
    folder = tune(tmp_path, "optimizer.lr=0.02", "--factor", "6")
    last = [row for row in rows(folder) if row["optimizer.lr"] == "0.72"]
    assert {(row["status"], row["skill_train"]) for row in last} == {("diverged", "0.0")}
    tuned = read_tuned(folder / "tuned.yaml")
    assert [each.diverged for each in tuned.combinations] == [(0.72,)] * 2


def test_a_further_setting_is_crossed_with_the_rates(planted, tmp_path) -> None:
    folder = tune(tmp_path, "--also", "trainer.gradient_clip_norm=null,1")
    tuned = read_tuned(folder / "tuned.yaml")
    assert len(rows(folder)) == 2 * 5 * 2 * 2
    assert {each.factors["connection"]: each.best["trainer.gradient_clip_norm"] for each in tuned.combinations} == {
        "plain": 1,
        "identity": None,  # equal at both: the first of them
    }
    assert budget_text(len(tuned.rates), tuned.combinations) == "5 rates × 2 gradient_clip_norm"


def test_a_figure_and_a_table_say_what_was_found(searched, capsys) -> None:
    folder = tune(searched)
    assert (folder / "tuning.svg").read_text().startswith("<svg")
    printed = capsys.readouterr().out
    assert "5 rates for each combination, 0.0002 to 0.02" in printed
    assert "0.002 to 0.002" in printed  # identity's window: 0.8 - 0.4 * 0.5^2 = 0.7 is below 0.9 of 0.8
    assert f"hydra.sweeper.tuned={folder / 'tuned.yaml'}" in printed


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--rates", "4"], "--rates 4 is too few to find a best; valid: at least 5"),
        (["--factor", "1.1"], "--factor 1.1 is invalid; valid: at least 1.2"),
        (["--widenings", "-1"], "--widenings -1 is invalid"),
        (["--seeds", "9001,9001"], "--seeds 9001,9001 is invalid"),
        (
            ["--seeds", "9001,202"],
            "the tuning seeds 9001,202 include 202, which the study uses too",
        ),
        (["seed=9002"], "the tuning seeds 9001,9002 include 9002, which the study uses too"),
        (["--metric", "loss_train"], "--metric loss_train can't compare rates; valid: skill_train"),
        (["--also", "optimizer.eps=1"], "only one value; valid: several, optimizer.eps=V1,V2"),
        (["--also", "optimizer.nothing=1,2"], "unknown setting optimizer.nothing; valid: an axis or a setting"),
        (["--also", "optimizer.lr=1,2"], "learning rates are set by --rates and --factor"),
        (["optimizer.lr=1,2"], "optimizer.lr can't be swept and tuned at once"),
        (["optimizer=adam,sgd"], "optimizer.lr is 0.001,0.1 in this sweep"),
        (["num_samples=8,16"], "num_samples=8 and num_samples=16 are the same trial"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_trained(planted, tmp_path, capsys, words, reason) -> None:
    if words == ["optimizer=adam,sgd"]:
        preset = "points/quick"  # sets no rate of its own
        act = ["tune", preset, *words, f"run.runs_dir={tmp_path}"]
        assert reason in refused(capsys, main, act)
    else:
        assert reason in refused(capsys, tune, tmp_path, *words)
    assert not planted


def test_an_unknown_preset_is_refused_with_the_known_ones(capsys) -> None:
    assert f"unknown preset 'nothing'; valid: {', '.join(presets())}" in refused(capsys, main, ["tune", "nothing"])


def test_a_study_takes_over_what_was_chosen_and_keeps_the_file(searched, planted, launched) -> None:
    path = searched / TUNING / "tuned.yaml"
    sweep(searched, f"hydra.sweeper.tuned={path}")
    found = [json.loads((searched / key / "record.json").read_text()) for key in planted]
    assert {(r["choices"]["connection"], r["factors"]["optimizer.lr"]) for r in found} == set(BEST.items())
    assert {r["factors"]["seed"] for r in found} == {201, 202, 203}
    study = searched / "studies" / STUDY
    assert (study / "tuned.yaml").read_bytes() == path.read_bytes()
    assert sorted((study / "keys.txt").read_text().split()) == sorted(planted)


def test_values_that_no_number_writes_are_taken_over(planted, launched, tmp_path) -> None:
    path = tmp_path / "tuned.yaml"
    chosen = {"plain": {RATE: 6.3e-05, CLIP: None, "norm.affine": False}, "identity": {RATE: 1e-05, CLIP: 1}}
    window = Window(lowest=1e-05, highest=1e-05, at_least=True)
    path.write_text(
        write_tuned(
            Tuned(
                study="s", preset=PRESET, overrides=(), metric="skill_train", label="skill", direction="higher",
                seeds=(9001,), rates=(1e-05, 6.3e-05), also=(), widenings=0, shared={},
                combinations=tuple(
                    Combination(
                        factors={"connection": arm}, tried={}, best=values, value=0.5, edge="inside", window=window,
                        curve={rate: [0.5] for rate in (1e-05, 6.3e-05)}, diverged=(),
                    )
                    for arm, values in chosen.items()
                ),
            )
        )
    )  # fmt: skip
    sweep(tmp_path, f"hydra.sweeper.tuned={path}", "seed=1")
    for key in planted:
        record = json.loads((tmp_path / key / "record.json").read_text())
        wanted = chosen[record["choices"]["connection"]]
        assert {name: record["factors"][name] for name in wanted} == wanted
    assert len(planted) == 2


def test_a_combination_that_was_not_tuned_is_refused_with_the_command_that_tunes_it(searched, planted, capsys) -> None:
    path = searched / TUNING / "tuned.yaml"
    error = refused(capsys, sweep, searched, f"hydra.sweeper.tuned={path}", "connection=plain,rezero")
    assert f"{path} lacks connection=rezero" in error
    assert f"skiplab tune {PRESET} connection=plain,identity,rezero logger=none" in error
    assert not planted


def test_tuning_trials_bring_no_claims_and_the_trials_that_follow_do(searched, planted) -> None:
    assert registrations(searched / TUNING) == []
    words = [f"experiment={PRESET}", *GRID, f"hydra.sweeper.tuned={searched / TUNING / 'tuned.yaml'}"]
    main(["train", "-m", *words, f"run.runs_dir={searched}"])
    (entry,) = registrations(searched / "studies" / STUDY)
    assert entry.source.endswith("experiments/residual_in_diffusion/quick/claims.yaml")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("optimizer.lr=0.01", "optimizer.lr=0.01 and hydra.sweeper.tuned="),
        ("seed=1,9002", "seed=9002 was used to tune"),
    ],
)
def test_a_study_neither_sets_what_was_tuned_nor_uses_the_tuning_seeds(searched, planted, capsys, word, reason) -> None:
    path = searched / TUNING / "tuned.yaml"
    assert reason in refused(capsys, sweep, searched, f"hydra.sweeper.tuned={path}", word)
    assert not planted


def test_a_dry_run_trains_and_writes_nothing(monkeypatch, tmp_path, capsys) -> None:
    tune(tmp_path / "runs", "--dry-run")
    assert "20 trials: 20 left" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_tuning_really_trains(tmp_path) -> None:
    """A real search in process: as many records as trials, and a best that learns more than the worst rate."""
    folder = tune(tmp_path, "--seeds", "9001", "--widenings", "0")
    assert (
        len(list(tmp_path.glob("*/weights.safetensors"))) + sum(r["status"] == "diverged" for r in rows(folder)) == 10
    )
    for each in read_tuned(folder / "tuned.yaml").combinations:
        assert each.value == max(values[0] for values in each.curve.values())


def test_no_level_reaches_a_spreadsheet_as_a_formula() -> None:
    levels = {"connection": "=1+1", "depth": None}
    trial = TuningTrial("0" * 16, levels, 1e-05, {"@x": -0.5}, {}, {}, 9001, -0.25, "done")
    assert tidy([trial], "skill_train").splitlines() == [
        "connection,depth,optimizer.lr,'@x,seed,skill_train,status,key",
        "'=1+1,null,1e-05,-0.5,9001,-0.25,done,0000000000000000",
    ]
