"""A trial is known by what its files hold: they may be copied and moved, and others are never taken for them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

import skiplab
from hostile_records import forget_hashes
from skiplab.analysis.study.study import read_study
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.records import fingerprint
from skiplab.records.key import factors, trial_key
from skiplab.records.local_paths import find_again
from skiplab.training.evaluate_record import evaluate_record
from skiplab.training.plan import Plan
from tiny_trials import TINY, compose_config, run_tiny

IMAGES = ("data=image_folder", "data.size=8", "data.channels=1", "data.num_val=12", "run.study=moved")


def write_images(folder: Path, *, seed: int = 0, count: int = 60) -> Path:
    folder.mkdir(parents=True)
    for index, pixels in enumerate(np.random.default_rng(seed).integers(0, 256, (count, 8, 8), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def record(images: Path, tmp_path_factory):
    """A finished trial on the images, asked for by a path that was relative to their folder's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(images.parent)
        return run_tiny(tmp_path_factory.mktemp("runs"), *IMAGES, "data.path=images").record


@pytest.fixture
def copied(record, tmp_path: Path) -> Path:
    """A copy of the record, and no images."""
    return Path(shutil.copytree(record.folder, tmp_path / "runs" / record.key))


def key_of(path: Path, *overrides: str) -> str:
    return trial_key(compose_config(*IMAGES, f"data.path={path}", *overrides).config)


def test_the_key_holds_what_the_data_are_and_not_where_they_lie(images: Path, tmp_path: Path, monkeypatch) -> None:
    copy = shutil.copytree(images, tmp_path / "copy")
    assert key_of(copy) == key_of(images)
    monkeypatch.chdir(copy)
    assert key_of(Path(".")) == key_of(images)
    assert factors(compose_config(*IMAGES, f"data.path={copy}").config)["data.path"] == fingerprint.fingerprint(images)
    assert key_of(write_images(tmp_path / "others", seed=1)) != key_of(images)
    Image.new("L", (8, 8)).save(copy / "0.png")
    assert key_of(copy) != key_of(images)


@pytest.mark.parametrize("setting", ["data.path", "data.reader.path", "init.path", "backbone.arguments.path"])
def test_any_setting_called_path_counts_by_its_contents(setting: str, tmp_path: Path) -> None:
    def key(name: str, content: str) -> str:
        (tmp_path / name).write_text(content)
        config = compose_config().config
        OmegaConf.update(config, setting, str(tmp_path / name), force_add=True)
        return trial_key(config)

    assert key("one", "same") == key("two", "same")
    assert key("one", "other") != key("two", "same")


def test_a_name_of_the_hub_stays_a_name() -> None:
    config = compose_config("data=cifar10", "sampler=ddim").config
    assert factors(config)["data.path"] == "uoft-cs/cifar10"
    assert trial_key(config) == "41144d06d4c3411c"


def test_moved_data_are_done_and_others_in_their_place_make_another_study(images, record, tmp_path: Path) -> None:
    runs, place = shutil.copytree(record.runs_dir, tmp_path / "runs"), tmp_path / "images"
    shutil.copytree(images, place)
    moved = run_tiny(runs, *IMAGES, f"data.path={place}")
    assert (moved.outcome.action, moved.record.key) == ("already done", record.key)
    longer = run_tiny(runs, *IMAGES, f"data.path={place}", "seed=1")
    assert longer.outcome.action == "trained"
    assert read_study("moved", runs).factors == ()  # not split by where the data lay
    shutil.rmtree(place)
    write_images(place, seed=1)
    listed = (runs / "studies" / "moved" / "keys.txt").read_text()
    for more in ("seed=0", "seed=2"):  # a resumed trial, and a new seed
        with pytest.raises(SkiplabError, match=f"the files at {place} have changed since trials of study moved were"):
            run_tiny(runs, *IMAGES, f"data.path={place}", more)
    assert (runs / "studies" / "moved" / "keys.txt").read_text() == listed
    run_tiny(runs, *IMAGES, f"data.path={place}", "run.study=other")
    other_place = shutil.copytree(place, tmp_path / "others")
    others = run_tiny(runs, *IMAGES, f"data.path={other_place}")  # data that are compared, each at a path of its own
    assert others.record.read()["summary"]["loss_val"] != record.read()["summary"]["loss_val"]
    assert read_study("moved", runs).factors == ("data.path",)


def test_a_sweep_looks_at_its_data_once(images: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    looked, original = [], fingerprint._hashes
    monkeypatch.setattr(fingerprint, "_hashes", lambda place: looked.append(place) or original(place))
    sweep = ["train", "-m", "--dry-run", *TINY, *IMAGES, f"data.path={images}", f"run.runs_dir={tmp_path}"]
    main([*sweep, "seed=0,1,2,3,4", "connection=plain,identity"])
    assert "10 trials" in capsys.readouterr().out
    assert looked == [str(images)]


def test_a_record_is_loaded_and_measured_from_any_folder(images, copied: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert OmegaConf.load(copied / "config.yaml").data.path == str(images)
    assert len(skiplab.load(copied).data.val) == 12
    assert evaluate_record(Path("runs", copied.name), ["evaluator=[baselines]"], None).action == "evaluated"


@pytest.fixture
def lost(copied: Path, images: Path) -> Path:
    """A record whose images lie no more where they lay."""
    config = OmegaConf.load(copied / "config.yaml")
    config.data.path, config.data.cache_dir = "/gone/images", "/gone/cache"
    OmegaConf.save(config, copied / "config.yaml")
    forget_hashes(copied)
    return copied


def test_data_that_were_moved_are_found_where_one_says(images, lost: Path, tmp_path: Path, monkeypatch) -> None:
    place = shutil.copytree(images, tmp_path / "new place")
    loaded = skiplab.load(lost, data_path=place)
    assert len(loaded.data.train) == 48
    monkeypatch.chdir(tmp_path)
    evaluate_record(lost, ["evaluator=[baselines]", "data.path='new place'"], None)
    assert "loss_affine" in json.loads((lost / "record.json").read_text())["summary"]


def test_data_that_are_missing_are_named_with_what_to_give(lost: Path, capsys) -> None:
    with pytest.raises(SkiplabError, match=r"are not at /gone/images; give their path, data.path=PATH.*data_path="):
        skiplab.load(lost)
    with pytest.raises(SystemExit):
        main(["evaluate", str(lost)])
    assert "are not at /gone/images; give their path, data.path=PATH" in capsys.readouterr().err


def test_other_data_are_refused(lost: Path, tmp_path: Path, capsys) -> None:
    others = write_images(tmp_path / "others", seed=1)
    with pytest.raises(SkiplabError, match=f"files at {others} are not those that .* was trained on; give their path"):
        skiplab.load(lost, data_path=others)
    with pytest.raises(SystemExit):
        main(["evaluate", str(lost), f"data.path={others}"])
    assert f"the files at {others} are not those that" in capsys.readouterr().err


def test_what_a_record_says_beside_its_configuration_names_no_setting(finished, images: Path, tmp_path: Path) -> None:
    """Else a record could put a file in place after its configuration was found fit to be obeyed."""
    folder = Path(shutil.copytree(finished.record.folder, tmp_path / finished.record.key))
    config = OmegaConf.load(folder / "config.yaml")
    before = OmegaConf.to_container(config)
    names = ("feature_extractor.path", "run.study", "data.split_seed", "backbone.path", "data.path")
    find_again(config, dict.fromkeys(names, fingerprint.fingerprint(images)), {}, folder)
    assert OmegaConf.to_container(config) == before


def test_what_trials_write_to_is_refused_before_it_is_read(tmp_path: Path, monkeypatch, capsys) -> None:
    write_images(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fingerprint, "_hashes", lambda place: pytest.fail(f"{place} was read"))
    with pytest.raises(SystemExit):
        main(["train", *TINY, "data=image_folder", "data.path=.", "run.runs_dir=runs"])
    assert "data.path=" in capsys.readouterr().err


def test_a_pattern_of_modules_is_no_file(tmp_path: Path, monkeypatch) -> None:
    asked = ("backbone=external", "backbone.target=torch.nn.Identity", "backbone.path=blocks")
    monkeypatch.chdir(tmp_path)
    key = trial_key(compose_config(*asked).config)
    (tmp_path / "blocks").mkdir()
    assert trial_key(compose_config(*asked).config) == key


def test_a_record_is_measured_from_any_folder_with_claims_of_its_training(finished, tmp_path, monkeypatch) -> None:
    folder = Path(shutil.copytree(finished.record.folder, tmp_path / finished.record.key))
    config = OmegaConf.load(folder / "config.yaml")
    config.run.claims = "claims_that_lay_where_it_was_trained.yaml"
    OmegaConf.save(config, folder / "config.yaml")
    forget_hashes(folder)
    monkeypatch.chdir(tmp_path)
    assert evaluate_record(folder, ["evaluator=[baselines]"], None).action == "evaluated"


def test_a_record_without_files_takes_none(finished, images: Path) -> None:
    with pytest.raises(SkiplabError, match=r"data.path=.* would change the trial of .*, which has no such setting"):
        skiplab.load(finished.record.folder, data_path=images)


def test_an_extractors_file_counts_by_its_contents_too(tmp_path: Path) -> None:
    def asked(name: str, content: str):
        (tmp_path / name).write_text(content)
        words = (
            "evaluator=[frechet_distance]",
            "feature_extractor=torchscript",
            f"feature_extractor.path={tmp_path / name}",
        )
        return Plan.of(compose_config(*words).config, tmp_path).evaluators

    assert asked("one.pt", "weights") == asked("two.pt", "weights")
    assert asked("one.pt", "others") != asked("two.pt", "weights")


@pytest.mark.parametrize("inner", ["run.runs_dir", "data.cache_dir"])
def test_data_that_every_trial_would_change_are_refused(inner: str, tmp_path: Path, capsys) -> None:
    place = write_images(tmp_path / "images")
    runs = tmp_path / "runs"
    words = [f"data.path={place}", f"run.runs_dir={runs}", f"{inner}={place / 'inner'}"]
    with pytest.raises(SystemExit):
        main(["train", *TINY, *IMAGES, *words])
    assert f"data.path={place} holds {inner}={place / 'inner'}, which trials write to" in capsys.readouterr().err
    main(["train", *TINY, *IMAGES, *words, f"{inner}={place / '.hidden'}", "trainer.max_steps=2"])
