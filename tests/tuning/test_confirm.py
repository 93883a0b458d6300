"""`skiplab confirm`: the best rate has to stay the best on further seeds."""

from pathlib import Path

import pytest

import planted_tuning
from planted_tuning import BEST, PRESET, STUDY, TUNING, confirm, refused, rows, sweep, tune
from skiplab.records.tuned import RATE, Combination, read_tuned


def found(runs_dir: Path) -> dict[str, Combination]:
    tuned = read_tuned(runs_dir / TUNING / "tuned.yaml")
    return {each.factors["connection"]: each for each in tuned.combinations}


def test_a_rate_that_stays_the_best_is_trained_on_the_further_seeds_alone(searched, planted, capsys) -> None:
    before, searched_rows = found(searched), rows(searched / TUNING)
    confirm(searched, "--seeds", "9003,9004,9005")
    assert rows(searched / TUNING)[: len(searched_rows)] == searched_rows
    assert {(row["connection"], float(row[RATE]), row["seed"]) for row in rows(searched / TUNING)[-6:]} == {
        (arm, rate, seed) for arm, rate in BEST.items() for seed in ("9003", "9004", "9005")
    }
    assert len(rows(searched / TUNING)) == len(searched_rows) + 6
    assert len(planted) == 6
    assert read_tuned(searched / TUNING / "tuned.yaml").seeds == (9001, 9002, 9003, 9004, 9005)
    for arm, each in found(searched).items():
        assert each.best == before[arm].best
        assert each.curve[BEST[arm]] == pytest.approx([before[arm].curve[BEST[arm]][i] for i in (0, 1, 0, 1, 0)])
        assert all(len(values) == 2 for rate, values in each.curve.items() if rate != BEST[arm])
    out = " ".join(capsys.readouterr().out.split())
    assert "best rates to try on further seeds: 2, 6 trials" in out
    assert "each best rate stays the best" in out
    assert "at seeds 9001, 9002, the best rates at 9003, 9004, 9005 too" in out


def test_a_rate_that_collapses_now_and_then_gives_way_to_the_next_which_is_tried_as_often(
    searched, planted, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(planted_tuning, "COLLAPSED", {("identity", BEST["identity"], 9004)})
    before = found(searched)
    confirm(searched, "--seeds", "9003,9004")
    after = found(searched)
    assert after["plain"].best == before["plain"].best
    best = after["identity"].best[RATE]
    assert best != BEST["identity"]
    assert len(after["identity"].curve[best]) == len(after["identity"].curve[BEST["identity"]]) == 4
    assert after["identity"].value == pytest.approx(sum(after["identity"].curve[best]) / 4)
    assert after["identity"].curve[BEST["identity"]][-1] == 0
    assert len(planted) == 2 + 2 + 2
    assert f"connection=identity: optimizer.lr={best:g} in place of 0.002" in capsys.readouterr().out


def test_a_rate_that_comes_up_later_is_tried_on_all_seeds_that_were_added(searched, planted, monkeypatch) -> None:
    confirm(searched, "--seeds", "9003,9004")
    monkeypatch.setattr(planted_tuning, "COLLAPSED", {("identity", BEST["identity"], 9005)})
    confirm(searched, "--seeds", "9005")
    tuned = read_tuned(searched / TUNING / "tuned.yaml")
    each = found(searched)["identity"]
    assert each.best[RATE] != BEST["identity"]
    assert len(each.curve[each.best[RATE]]) == len(tuned.seeds) == 5
    assert len(planted) == 2 * 2 + 2 + 3


def test_trials_that_are_there_are_not_trained_again(searched, planted) -> None:
    original = (searched / TUNING / "tuned.yaml").read_bytes()
    confirm(searched, "--seeds", "9003")
    first, num_trained = found(searched), len(planted)
    (searched / TUNING / "tuned.yaml").write_bytes(original)
    confirm(searched, "--seeds", "9003")
    assert found(searched) == first
    assert len(planted) == num_trained == 2
    assert len(rows(searched / TUNING)) == 2 * 5 * 2 + 2


def test_a_study_takes_over_what_was_confirmed_and_none_of_its_seeds(searched, planted, capsys) -> None:
    confirm(searched, "--seeds", "9003")
    tuned = f"hydra.sweeper.tuned={searched / TUNING / 'tuned.yaml'}"
    sweep(searched, tuned, "seed=1,2")
    assert (searched / "studies" / STUDY / "tuned.yaml").is_file()
    assert "seed=9003 was used to tune" in refused(capsys, sweep, searched, tuned, "seed=9003")


def test_tuning_again_takes_nothing_away_that_was_confirmed(searched, planted, capsys) -> None:
    path = searched / TUNING / "tuned.yaml"
    tune(searched)
    confirm(searched, "--seeds", "9003,9004")
    before, trained = path.read_text(encoding="utf-8"), len(planted)
    message = refused(capsys, tune, searched)
    assert f"{path} holds what was found at seeds 9003,9004, which tuning again would take away" in message
    assert path.read_text(encoding="utf-8") == before
    assert len(planted) == trained
    tune(searched, "--dry-run")
    assert path.read_text(encoding="utf-8") == before


def test_tuning_again_takes_no_file_away_that_it_cannot_read(searched, planted, capsys) -> None:
    path = searched / TUNING / "tuned.yaml"
    path.write_text("best: mine\n", encoding="utf-8")
    message = refused(capsys, tune, searched)
    assert f"{path} is no result of `skiplab tune`, which would write over it; move it and tuning.csv first" in message
    assert path.read_text(encoding="utf-8") == "best: mine\n"


def test_a_dry_run_trains_and_writes_nothing(searched, planted) -> None:
    before = (searched / TUNING / "tuned.yaml").read_bytes()
    confirm(searched, "--dry-run")
    assert not planted
    assert (searched / TUNING / "tuned.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "9001,9003"], "--seeds 9001,9003 is invalid; valid: different whole numbers other than 9001,9002"),
        (["--seeds", "9003,9003"], "--seeds 9003,9003 is invalid"),
        (["--seeds", "201,9003"], "which the study uses too"),
        (["trainer.max_steps=7"], "had trainer.max_steps=6; nothing was trained"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(searched, planted, capsys, words, message) -> None:
    assert message in " ".join(refused(capsys, confirm, searched, *words).split())
    assert not planted


def test_a_file_that_tune_did_not_write_is_refused(planted, tmp_path, capsys) -> None:
    (tmp_path / TUNING).mkdir(parents=True)
    (tmp_path / TUNING / "tuned.yaml").write_text(f"preset: {PRESET}\n", encoding="utf-8")
    assert "is not a result of `skiplab tune`" in refused(capsys, confirm, tmp_path)
