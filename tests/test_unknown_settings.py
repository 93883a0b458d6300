"""What no trial has is refused, and so is a sweep over what makes no trial, before anything is trained or skipped."""

import json
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import skiplab
from hostile import outcome
from option_files import CONF
from skiplab.cli import main
from skiplab.configuration.settings import Settings
from skiplab.errors import SkiplabError
from tiny_trials import TINY, compose_config

UNKNOWN = {
    "lr=0.1": ("unknown setting lr;", "did you mean optimizer.lr?"),
    "+lr=0.1": ("unknown setting lr;", "did you mean optimizer.lr?"),
    "++lr=0.1": ("unknown setting lr;", "did you mean optimizer.lr?"),
    "+foo.bar=3": ("unknown setting foo.bar; valid: ", "optimizer"),
    "+optimizer.amsgrd=true": ("unknown setting optimizer.amsgrd; valid in optimizer: ", "weight_decay"),
    "+run.stduy=a": ("unknown setting run.stduy;", "did you mean run.study?"),
    "+eval_batch.num_image=8": ("unknown setting eval_batch.num_image;", "did you mean eval_batch.num_images?"),
    "+evaluator.denoising_loss.levels=8": ("unknown setting evaluator.denoising_loss.levels;", "denoising_loss: none"),
    "+evaluator.frechet_distance.num_sample=8": (
        "unknown setting",
        "did you mean evaluator.frechet_distance.num_samples?",
    ),
    "+hydra.launcher.wrokers=1": ("unknown setting hydra.launcher.wrokers;", "did you mean hydra.launcher.workers?"),
    "eval_batch={num_images: 8, levels: 3}": (
        "unknown setting eval_batch.levels; valid in eval_batch: num_images, num_levels",
    ),
}
KNOWN = (
    "+optimizer.amsgrad=true",
    "+evaluator.frechet_distance.num_samples=8",
    "+evaluator.kernel_distance={num_subsets: 3}",
)


@pytest.fixture
def trial(tmp_path: Path, monkeypatch) -> Path:
    """A folder to stand in where the tiny trial is finished, so that it would be skipped."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """The runs folder of a finished trial."""
    folder = tmp_path_factory.mktemp("done")
    main(["train", *TINY, f"run.runs_dir={folder}"])
    return folder


@pytest.mark.parametrize(
    ("word", "sweep"), [*((word, []) for word in UNKNOWN), *((word, ["-m"]) for word in list(UNKNOWN)[1::4])]
)
def test_an_unknown_setting_is_refused_though_the_trial_is_done(word, sweep, done, capsys) -> None:
    before = sorted(done.rglob("*"))
    code, err = outcome(["train", *sweep, *TINY, f"run.runs_dir={done}", word], capsys)
    assert code == 1
    for part in UNKNOWN[word]:
        assert part in err
    assert "use +" not in err
    assert sorted(done.rglob("*")) == before


@pytest.mark.parametrize("word", KNOWN)
def test_what_a_constructor_takes_may_be_added(word, done, capsys) -> None:
    assert outcome(["train", *TINY, f"run.runs_dir={done}", "run.dry_run=true", word], capsys) == (0, "")


def test_a_network_of_ones_own_may_be_given_any_argument() -> None:
    overrides = ["backbone=external", "backbone.target=mine.Net", "+backbone.arguments={width: 8, layers: {a: 1}}"]
    config = compose_config(*overrides).config
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        Settings(GlobalHydra.instance().config_loader()).check(config, overrides)


@pytest.mark.parametrize("command", [["train"], ["train", "-m", "hydra/launcher=basic"], ["tune"]])
def test_a_wrong_key_of_a_preset_of_ones_own(command, tmp_path, capsys) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    preset = "# @package _global_\noptimizer: {lr: 0.01}\ntrainer: {steps: 3}\n"
    (tmp_path / "conf" / "experiment" / "own.yaml").write_text(preset)
    asked = ["own", "--dry-run", "connection=plain"] if command == ["tune"] else ["experiment=own"]
    words = [*command, *asked, "--config-dir", str(tmp_path / "conf"), *TINY, f"run.runs_dir={tmp_path / 'runs'}"]
    code, err = outcome(words, capsys)
    assert code == 1
    assert "unknown setting trainer.steps; valid in trainer: " in err
    assert not (tmp_path / "runs").exists()


def test_a_study_from_python_is_refused_alike(tmp_path) -> None:
    with pytest.raises(SkiplabError, match=r"unknown setting lr;.*optimizer.lr"):
        skiplab.study(
            make_nothing, "digits", factors={"depth": [1]}, runs_dir=tmp_path, settings={"+lr": 0.1, "logger": "none"}
        )
    assert not list(tmp_path.iterdir())


def make_nothing(depth: int) -> None:
    raise AssertionError("nothing is built")


def test_each_set_of_names_is_composed_once(monkeypatch) -> None:
    config = compose_config().config
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        settings, composed = Settings(GlobalHydra.instance().config_loader()), []
        monkeypatch.setattr(settings, "_known", lambda *_, real=settings._known: composed.append(1) or real(*_))
        for config.seed in range(5):
            settings.check(config, [])
    assert len(composed) == 1


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("num_samples=8,16", "num_samples=8 and num_samples=16 are the same trial"),
        ("evaluator=[denoising_loss],[denoising_loss,baselines]", "several evaluators are one list, evaluator=[a,b]"),
        ("instrument=[],[stability]", "instrument=[] and instrument=[stability] are the same trial"),
        ("feature_extractor=raw,digits_classifier", "feature_extractor=raw and feature_extractor=digits_classifier"),
        ("eval_batch.num_levels=2,3", "eval_batch.num_levels=2 and eval_batch.num_levels=3 are the same trial"),
        ("logger=none,wandb_offline", "logger=none and logger=wandb_offline are the same trial"),
        ("run.study=a,b", "run.study=a and run.study=b differ in a setting of run"),
        ("run.runs_dir=a,b", "run.runs_dir=a and run.runs_dir=b differ in"),
        ("depth=glob(zz*)", "depth=glob(zz*) has no values, so there is nothing to train"),
        ("seed=range(5,2)", "seed=range(5,2) has no values"),
    ],
)
def test_a_sweep_that_would_drop_trials_is_refused(word, named, trial, capsys) -> None:
    others = ["seed=0,1"] if "are the same trial" in named else []
    code, err = outcome(["train", "-m", "hydra/launcher=basic", *TINY, *others, word], capsys)
    assert code == 1
    assert named in err
    assert not list(trial.iterdir())


def test_one_trial_in_two_spellings_stays_one(trial, capsys) -> None:
    for words in (["depth=4,4"], ["depth=4,4.0"], ["optimizer.lr=0.001,1e-3"], ["connection=plain,plain"]):
        main(["train", "-m", "hydra/launcher=basic", *TINY, "run.dry_run=true", *words])
        assert "1 trial: 1 left" in capsys.readouterr().out


def test_an_option_may_stand_between_overrides(trial, capsys) -> None:
    (trial / "conf" / "connection").mkdir(parents=True)
    (trial / "conf" / "connection" / "own.yaml").write_text("_target_: skiplab.blocks.connections.plain.Plain\n")
    words = ["train", *TINY, "seed=0,1", "-m", "run.dry_run=true", "--config-dir", "conf", "connection=own,identity"]
    main([*words, "hydra/launcher=basic"])
    assert "4 trials: 4 left" in capsys.readouterr().out
    code, err = outcome(["tune", "points/quick", "depth=4", "--config-dir", "nowhere", "seed=1"], capsys)
    assert code == 2
    assert "argument --config-dir: 'nowhere' is not a folder" in err


def test_evaluate_takes_the_folder_that_one_stands_in(done, monkeypatch, capsys) -> None:
    (record,) = done.glob("*/record.json")
    monkeypatch.chdir(record.parent)
    main(["evaluate", ".", "evaluator=[baselines]"])
    out = capsys.readouterr().out
    assert f"trial {record.parent.name}: evaluated, done." in out
    assert f"record in {record.parent}" in out
    assert "baselines" in json.loads(record.read_text())["evaluators"]
