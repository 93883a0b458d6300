"""Options and settings are tuned like rates: as many tries for each arm, and what was chosen splits no cells."""

import io
import json
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from planted_tuning import BEST, PRESET, STUDY, TUNING, launch, plant, refused, rows, sweep, tune
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.study.arms import arm_names, cells
from skiplab.analysis.study.study import read_study
from skiplab.analysis.study.tuned_study import TUNED
from skiplab.records.tuned import RATE, read_tuned
from skiplab.records.tuned_budget import budget_text

WARM = "scheduler.warmup_steps"
BY_ARM = ("--also", "plain:init=default,looks_linear", "--also", "identity:init=default,fixup")
ONE_SEED = ("--seeds", "9001")
CLAIM = """\
factor: connection
control: plain
treatment: identity
claims:
  - {name: c, text: t, metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.02}
"""


@pytest.fixture(scope="module")
def searched_once(tmp_path_factory) -> tuple[Path, str]:
    """The runs folder of one search with initializations of each arm's own, and what it printed."""
    runs_dir, printed = tmp_path_factory.mktemp("by_arm"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        plant(patch)
        tune(runs_dir, *BY_ARM, "--also", f"{WARM}=0,3", *ONE_SEED)
    return runs_dir, one_line(printed.getvalue())


@pytest.fixture
def searched(searched_once, planted, tmp_path) -> Path:
    """A copy of its own of that folder; what is trained in it afterwards stands in `planted`."""
    return shutil.copytree(searched_once[0], tmp_path / "runs")


def bests(folder: Path) -> dict[str, dict]:
    return {each.factors["connection"]: dict(each.best) for each in read_tuned(folder / "tuned.yaml").combinations}


def one_line(text: str) -> str:
    return " ".join(text.split())


def caveats(runs_dir: Path) -> tuple[str, ...]:
    (runs_dir / "claims.yaml").write_text(CLAIM)
    return judge(read_study(STUDY, runs_dir), read_claims(runs_dir / "claims.yaml"))[0].caveats


def test_each_arm_gets_the_best_of_its_own_values(searched_once) -> None:
    runs_dir, printed = searched_once
    assert len(rows(runs_dir / TUNING)) == 2 * 5 * 2 * 2  # arms, rates, initializations, warm-ups
    assert bests(runs_dir / TUNING) == {
        "plain": {RATE: BEST["plain"], WARM: 3, "init": "looks_linear"},
        "identity": {RATE: BEST["identity"], WARM: 3, "init": "fixup", "init.gain": 2**0.5},
    }
    assert "5 rates × 2 warmup_steps × 2 init, values by connection for each combination" in printed
    assert "warmup_steps 0, 3; init default, looks_linear for plain and default, fixup for identity" in printed


def test_arms_with_initializations_of_their_own_are_compared_in_one_cell(searched, planted, launched) -> None:
    sweep(searched, f"hydra.sweeper.tuned={searched / TUNING / 'tuned.yaml'}")
    records = [json.loads((searched / key / "record.json").read_text()) for key in planted]
    chosen = {(each["choices"]["connection"], each["choices"]["init"], each["factors"][WARM]) for each in records}
    assert chosen == {("plain", "looks_linear", 3), ("identity", "fixup", 3)}

    study = read_study(STUDY, searched)
    assert study.factors == ("connection",)
    assert arm_names(study, "connection") == ["plain", "identity"]
    assert cells(study, "connection") == [{}]
    assert (study.constants["init"], study.constants[WARM], study.constants[RATE]) == (TUNED, TUNED, TUNED)
    assert "tuned per arm, 5 rates × 2 warmup_steps × 2 init, values by connection" in caveats(searched)


def test_a_trial_with_another_setting_of_the_chosen_option_does_not_follow(searched_once) -> None:
    tuned = read_tuned(searched_once[0] / TUNING / "tuned.yaml")
    choices = {"connection": "identity", "long_skip": "none", "init": "fixup"}
    own = {"depth": 4, "seed": 1, RATE: BEST["identity"], WARM: 3, "init.gain": 2**0.5}
    assert tuned.followed_by(choices, own)
    assert not tuned.followed_by(choices, own | {"init.gain": 1.0})
    assert not tuned.followed_by(choices | {"init": "default"}, own)


def test_an_arm_without_a_tuned_option_follows_only_with_the_option_that_it_was_tuned_at(planted, tmp_path) -> None:
    words = ("--also", "plain:init=default,looks_linear", "--also", f"identity:{WARM}=0,3", *ONE_SEED)
    folder = tune(tmp_path, *words)
    tuned = read_tuned(folder / "tuned.yaml")
    assert bests(folder)["identity"] == {RATE: BEST["identity"], "init": "default", WARM: 3}
    assert budget_text(5, tuned.combinations) == "5 rates × 2 init for plain and 5 rates × 2 warmup_steps for identity"
    own = {"depth": 4, "seed": 1, RATE: BEST["identity"], WARM: 3}
    for init, follows in (("default", True), ("he", False)):
        assert tuned.followed_by({"connection": "identity", "init": init}, own) is follows


def test_options_that_belong_together_change_together(planted, tmp_path, capsys) -> None:
    words = ("--also", "plain:init+activation=default+silu,looks_linear+relu", "--also", "identity:init=default,fixup")
    folder = tune(tmp_path, *words, *ONE_SEED)
    assert len(planted) == 2 * 5 * 2  # arms, rates, alternatives
    assert bests(folder)["plain"] == {RATE: BEST["plain"], "init": "looks_linear", "activation": "relu"}
    identity = {RATE: BEST["identity"], "init": "fixup", "init.gain": 2**0.5, "activation": "silu"}
    assert bests(folder)["identity"] == identity
    printed = one_line(capsys.readouterr().out)
    assert "5 rates × 2 init+activation for plain and 5 rates × 2 init for identity" in printed
    assert "init+activation default+silu, looks_linear+relu for plain and none for identity" in printed
    sweep(tmp_path, f"hydra.sweeper.tuned={folder / 'tuned.yaml'}", "seed=1")
    study = read_study(STUDY, tmp_path)
    assert [each["activation"] for each in (study.records[key]["choices"] for key in study.trials["key"])] == [
        "relu",
        "silu",
    ]
    assert cells(study, "connection") == [{}]


def test_a_setting_that_one_connection_has_is_tuned_for_it_alone(planted, tmp_path, monkeypatch) -> None:
    words = ("--also", "scaled_half:connection.update_factor=0.5,0.25", "--also", "plain:init=default,looks_linear")
    folder = tune(tmp_path, "connection=plain,scaled_half", *words, *ONE_SEED)
    assert bests(folder)["scaled_half"]["connection.update_factor"] == 0.25
    launch(monkeypatch)
    sweep(tmp_path, "connection=plain,scaled_half", f"hydra.sweeper.tuned={folder / 'tuned.yaml'}")
    study = read_study(STUDY, tmp_path)
    assert arm_names(study, "connection") == ["plain", "scaled_half"]
    assert cells(study, "connection") == [{}]


def test_a_list_is_tuned_and_taken_over(planted, tmp_path, monkeypatch) -> None:
    folder = tune(tmp_path, "--also", "optimizer.betas=[0.9,0.999],[0.9,0.95]", *ONE_SEED)
    assert bests(folder)["plain"]["optimizer.betas"] == "[0.9, 0.95]"
    num_tuning = len(planted)
    launch(monkeypatch)
    sweep(tmp_path, f"hydra.sweeper.tuned={folder / 'tuned.yaml'}", "seed=1")
    for key in planted[num_tuning:]:
        assert json.loads((tmp_path / key / "record.json").read_text())["factors"]["optimizer.betas"] == "[0.9, 0.95]"
    assert len(planted) == num_tuning + 2
    assert read_study(STUDY, tmp_path).factors == ("connection",)


def test_more_tries_for_one_arm_are_refused_unless_accepted_and_then_the_verdict_says_so(
    planted, tmp_path, capsys
) -> None:
    words = ("--also", "plain:init=default,looks_linear", *ONE_SEED)
    error = refused(capsys, tune, tmp_path, *words)
    assert "--also gives unequal budgets: 10 trials for plain, 5 trials for identity; give each connection" in error
    assert not planted
    folder = tune(tmp_path, *words, "--unequal")
    assert "init default, looks_linear for plain and only default for identity" in one_line(capsys.readouterr().out)
    assert len(planted) == 15
    sweep(tmp_path, f"hydra.sweeper.tuned={folder / 'tuned.yaml'}")
    told = "tuned per arm, unequal budgets: 5 rates × 2 init for plain and 5 rates for identity"
    assert told in caveats(tmp_path)


def test_what_it_will_cost_is_said_before_it_starts(planted, tmp_path, capsys) -> None:
    tune(tmp_path, *BY_ARM, "--dry-run")
    printed = capsys.readouterr().out
    assert "tuning: 2 combinations of arm and cell, 10 tries each, 2 seeds: 40 trials, 40 left, " in printed
    assert re.search(r" FLOPs to train them, about \d+ \w+ of training on one worker, by steps timed here; ", printed)
    assert "each widening of the grid, of 3 at most, adds 8 at an edge" in printed
    assert not planted


def test_the_time_is_told_by_trials_of_the_study_that_are_done(planted, tmp_path, capsys) -> None:
    sweep(tmp_path, "seed=201")  # two trials, a second each
    capsys.readouterr()
    tune(tmp_path, *BY_ARM, "--dry-run")
    assert "about 40 s left on one worker" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("also", "reason"),
    [
        (["rezero:init=default,he"], "--also rezero:... are not levels of one swept factor; valid: plain, identity"),
        (["none:init=default,he"], "none:... are levels of long_skip and augmentation; valid: "),
        (["init=default,he", "init=default,fixup"], "init is given twice; give all its values at once"),
        (["init=default,he", "plain:init=default,fixup"], "--also plain:init=default,fixup: init is given twice"),
        (
            ["evaluator=[lesion],[baselines]"],
            "unknown setting evaluator; valid: an axis or a setting of the trials that affects",
        ),
        (["init+norm=default+group"], "init+norm changes 2 options or settings together, so give several alternatives"),
        (["init+norm=default+group,fixup"], "with a value for each; valid: init+norm=INIT1+NORM1,INIT2+NORM2"),
        (["init+norm=default+group,fixup+nothing"], "nothing"),
        (["init+norm=default+group,fixup+none", "norm=group,none"], "norm is given twice"),
        (["init.gain=1,2"], "--also init.gain=1,2: unknown setting"),
        (["seed=1,2"], "the seeds of tuning are set by --seeds"),
        (["connection=plain,rezero"], "connection can't be swept and tuned at once"),
        (["init=default,nothing"], "nothing"),
        (["prediction=epsilon,x0"], "prediction changes what the metric measures"),
        (["data.num_val=360,180"], "data.num_val changes what the metric measures"),
    ],
)
def test_what_can_not_be_tuned_is_refused(planted, tmp_path, capsys, also, reason) -> None:
    words = [word for each in also for word in ("--also", each)]
    more = ("long_skip=none,concat", "augmentation=none,flip") if "none:" in also[0] else ()
    error = refused(capsys, tune, tmp_path, *more, "seed=1", *words)
    assert reason in error
    assert not planted


def test_a_setting_that_not_all_arms_have_is_refused_with_what_to_write(planted, tmp_path, capsys) -> None:
    words = ("connection=plain,scaled_half", "--also", "connection.update_factor=0.5,0.25")
    error = refused(capsys, tune, tmp_path, *words)
    assert "give it to an arm that does, --also ARM:connection.update_factor=0.5,0.25" in error


def test_an_option_that_a_network_refuses_is_refused_before_any_trial_is_trained(tmp_path, capsys) -> None:
    error = refused(capsys, tune, tmp_path, "--also", "init=default,zero_last")
    assert "zero_last" in error
    assert "nothing was trained" in error
    assert not list(tmp_path.glob("*/record.json"))


def test_a_sweep_neither_sets_a_tuned_option_nor_a_setting_of_it(searched, capsys) -> None:
    path = searched / TUNING / "tuned.yaml"
    error = refused(capsys, sweep, searched, f"hydra.sweeper.tuned={path}", "init=he", "init.gain=1")
    assert "init=he and hydra.sweeper.tuned=" in error


def test_the_command_that_tunes_what_is_lacking_tries_the_same(searched, capsys) -> None:
    path = searched / TUNING / "tuned.yaml"
    error = refused(capsys, sweep, searched, f"hydra.sweeper.tuned={path}", "connection=plain,rezero")
    assert f"skiplab tune {PRESET} connection=plain,identity,rezero" in error
    assert error.rstrip().endswith(" ".join([*BY_ARM, "--also", f"{WARM}=0,3"]))


@pytest.mark.slow
def test_tuned_options_really_train(tmp_path) -> None:
    """Tuning and the study that follows, without planted skills: one cell, and the initialization that was chosen."""
    folder = tune(tmp_path, *BY_ARM, *ONE_SEED, "--widenings", "0")
    assert len(list(tmp_path.glob("*/record.json"))) == 20
    sweep(tmp_path, f"hydra.sweeper.tuned={folder / 'tuned.yaml'}", "seed=1,2", "evaluator=[denoising_loss]")
    study, chosen = read_study(STUDY, tmp_path), bests(folder)
    found = {each["choices"]["connection"]: each["choices"]["init"] for each in study.records.values()}
    assert found == {arm: best["init"] for arm, best in chosen.items()}
    assert (study.factors, cells(study, "connection")) == (("connection",), [{}])
    assert "tuned per arm, 5 rates × 2 init, values by connection" in " ".join(caveats(tmp_path))
