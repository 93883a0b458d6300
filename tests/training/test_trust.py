"""What a record may ask for by itself, what needs trust, and what isn't made with it either."""

import os
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from torch import nn

import skiplab
from example_records import example_record
from hostile_records import Acts, external, forget_hashes
from option_files import AXES
from own_options import CHOSEN, write_own_options
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.records.record import read_record
from skiplab.targets import find_target
from skiplab.training.build import build
from skiplab.training.evaluate_record import evaluate_record
from skiplab.training.load import load
from skiplab.training.trust import record_config
from tiny_trials import TINY, compose_config, run_composed


@pytest.fixture
def folder(finished, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.record.folder, tmp_path / "runs" / finished.record.key))


def change(folder: Path, change_config: Callable[[dict], None]) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    change_config(config)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    forget_hashes(folder)


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_refuses_what_is_none_of_its_options(axis: str) -> None:
    config = compose_config(*TINY, "logger=wandb_offline", "instrument=[update_ratio]").config
    name = {"instrument": "instrument.update_ratio", "evaluator": "evaluator.denoising_loss"}.get(axis, axis)
    OmegaConf.update(config, f"{name}._target_", "os.system")
    with pytest.raises(SkiplabError, match=rf"^{name}\._target_=os\.system is no \w+; valid: a class of "):
        build(config)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "connection._target_=os.system",
            r"connection\._target_=os\.system is no Connection; valid: a class of skiplab",
        ),
        ("connection._target_=torch.nn.ReLU", "is no Connection"),
        ("data._target_=pandas.read_pickle", "is no Dataset"),
        ("optimizer._target_=torch.nn.ReLU", "is no Optimizer"),
        ("trainer._target_=builtins.dict", "is no Trainer"),
        (
            "evaluator.denoising_loss._target_=os.system",
            r"evaluator\.denoising_loss\._target_=os\.system is no Evaluator",
        ),
        ("data.num_val={_target_: os.abort}", r"data\.num_val\._target_ is not allowed in a setting"),
        ("+init._args_=[{_target_: os.abort}]", r"init\._args_ is not allowed in a setting"),
    ],
)
def test_training_makes_nothing_of_another_kind(tmp_path, override: str, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        run_composed(compose_config(*TINY, override), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "target", ["os.system", "subprocess.Popen", "shutil.rmtree", "torch.nn.functional", "torch.Tensor"]
)
def test_a_network_is_made_by_a_class_of_modules_or_a_function(target: str) -> None:
    with pytest.raises(SkiplabError, match=rf"backbone\.target={target} is no Module"):
        find_target("backbone.target", target, nn.Module, unannotated=True)
    assert find_target("backbone.target", "torch.nn.Linear", nn.Module, unannotated=True) is nn.Linear
    assert find_target("backbone.target", f"{__name__}.make", nn.Module, unannotated=True) is make
    with pytest.raises(SkiplabError, match=r"is no Module; valid: .* with the annotation `-> Module`"):
        find_target("norm._target_", f"{__name__}.make", nn.Module)


def make(width):
    return nn.Linear(width, width)


def test_trust_makes_a_network_of_ones_own_and_nothing_of_another_kind(folder, tmp_path, capsys) -> None:
    change(folder, lambda config: external(config, "os.system", {"command": f"touch {tmp_path / 'ran'}"}))
    with pytest.raises(SkiplabError, match=r"no option of skiplab: backbone\.target=os\.system; "):
        load(folder)
    with pytest.raises(SkiplabError, match=r"os\.system is no Module"):
        skiplab.load(folder, trust=True)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["evaluate", str(folder), "evaluator=[baselines]", "--trust"])
    _, told = capsys.readouterr().err.strip().splitlines()  # behind a line on the hashes that were taken out
    assert told.startswith("skiplab: ")
    assert not (tmp_path / "ran").exists()


def test_options_of_a_folder_that_the_user_names_need_no_trust(tmp_path, monkeypatch) -> None:
    from hydra import compose, initialize_config_dir

    from skiplab.paths import project_dir

    own = write_own_options(tmp_path / "mine")
    monkeypatch.syspath_prepend(own)
    searched = f"hydra.searchpath=[file://{own / 'conf'}]"
    with initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        config = compose("train", overrides=[*TINY, searched, *CHOSEN])
    OmegaConf.save(config, tmp_path / "config.yaml", resolve=True)
    with pytest.raises(SkiplabError, match=r"connection\._target_=my_options\.Leaky, branch\._target_=my_options\.Poi"):
        record_config(tmp_path, example_record(), trust=False)
    assert record_config(tmp_path, example_record(), trust=False, config_dir=own / "conf").connection.leak == 0.9


def test_decoded_images_are_kept_where_this_machine_keeps_them(folder, tmp_path, capsys) -> None:
    images = OmegaConf.to_container(compose_config("data=image_folder").config.data, resolve=True)
    change(folder, lambda config: config.update(data=images | {"cache_dir": "/elsewhere", "path": "pictures"}))
    assert record_config(folder, read_record(folder), trust=False).data.cache_dir == os.environ["SKIPLAB_CACHE_DIR"]


def test_a_record_is_loaded_under_any_name(folder) -> None:
    assert load(folder.rename(folder.with_name("the_best"))).costs["depth"] == 4


def test_a_record_that_was_trained_anew_is_measured_not_trained_again(folder) -> None:
    change(folder, lambda config: config["run"].update(rerun=True))
    written = (folder / "weights.safetensors").stat().st_mtime_ns
    assert evaluate_record(folder, ["evaluator=[baselines]"], None).action == "evaluated"
    assert (folder / "weights.safetensors").stat().st_mtime_ns == written
    assert not (folder.parent / "replaced").exists()


def test_training_goes_by_its_own_configuration(folder, finished, tmp_path) -> None:
    """Neither a record's configuration nor a pickle among its checkpoints is made when it is skipped or resumed."""
    harm = f"touch {tmp_path / 'ran'}"
    change(folder, lambda config: config.update(data={"_target_": "os.system", "command": harm}))
    assert run_composed(finished.composed, folder.parent).outcome.action == "already done"
    (folder / "weights.safetensors").unlink()
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "step=4.ckpt").write_bytes(pickle.dumps(Acts(harm)))
    record = finished.record.__class__(folder.parent, folder.name)
    record.update(status="interrupted", error="it was stopped")
    with suppress(SkiplabError):  # it may begin again, or say that the checkpoint is none
        run_composed(finished.composed, folder.parent)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["lock", "history.csv", "samples.png", "checkpoints"])
def test_nothing_is_written_through_a_link_out_of_the_record(folder, tmp_path, name: str) -> None:
    if (folder / name).is_dir():
        shutil.rmtree(folder / name)
    (folder / name).unlink(missing_ok=True)
    (tmp_path / "kept").write_text("as it was")
    (folder / name).symlink_to(tmp_path / "kept")
    with pytest.raises(SkiplabError, match=f"{name} is a link to .*, out of its folder, and nothing is written there"):
        evaluate_record(folder, ["evaluator=[baselines]"], None)
    assert (tmp_path / "kept").read_text() == "as it was"
