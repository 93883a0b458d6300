"""An option's settings are checked against its constructor before anything is made of them."""

import pytest
import torch
from omegaconf import OmegaConf

from settings_of_options import TOP, Setting, is_number, node_of, settings
from skiplab.errors import SkiplabError
from skiplab.listed_options import LISTS
from skiplab.samplers.sampler import Sampler
from skiplab.training.factory import factory

NUMBERS = [setting for setting in settings() if setting.axis and is_number(setting.default)]


def config_of(axis: str, option: str):
    node = node_of(axis, option)
    return OmegaConf.create({**TOP, axis: {option: node} if axis in LISTS else node})


def made(config, setting: Setting):
    parent = setting.name.rpartition(".")[0]
    return factory(OmegaConf.select(config, parent), object)


def test_there_are_settings_to_go_through() -> None:
    assert len(NUMBERS) > 100
    assert {setting.axis for setting in NUMBERS} >= {
        "branch",
        "norm",
        "evaluator",
        "instrument",
        "optimizer",
        "trainer",
    }


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: f"{setting.option}-{setting.name}")
def test_text_where_a_number_belongs_is_refused(setting: Setting) -> None:
    config = config_of(setting.axis, setting.option)
    assert made(config, setting)
    for wrong in ("many", ["many"], {"a": 1}, True):
        OmegaConf.update(config, setting.name, wrong, merge=False)
        with pytest.raises(SkiplabError, match=rf"^{setting.name}=.* is invalid; valid: .*number"):
            made(config, setting)


@pytest.mark.parametrize(
    ("axis", "option", "change", "message"),
    [
        ("branch", "preact", {"bias": "maybe"}, "branch.bias=maybe is invalid; valid: true or false"),
        ("optimizer", "adam", {"lr": None}, "optimizer.lr=null is invalid; valid: a number"),
        ("optimizer", "adam", {"betas": [0.9]}, r"optimizer.betas=\[0.9\] is invalid; valid: a list of 2, each a num"),
        ("optimizer", "adam", {"lr": float("nan")}, "optimizer.lr=nan is invalid"),
        ("data", "image_folder", {"path": 2024}, "data.path=2024 is invalid; valid: text, here 'data.path=\"2024\"'"),
        ("data", "digits", {"num_val": 2**63}, "valid: a whole number, from -2.63 to 2.63"),
        ("norm", "group", {"num_group": 4}, "unknown setting norm.num_group; .*; did you mean norm.num_groups?"),
        ("logger", "wandb_offline", {"offline": "yes"}, "logger.offline=yes is invalid; valid: true or false"),
    ],
)
def test_a_setting_of_another_kind_is_refused(axis, option, change, message) -> None:
    config = config_of(axis, option)
    OmegaConf.update(config, axis, change)
    with pytest.raises(SkiplabError, match=message):
        factory(config[axis], object)


def test_a_missing_setting_is_named() -> None:
    config = config_of("norm", "group")
    del config.norm.eps
    with pytest.raises(SkiplabError, match=r"norm.eps is missing; add norm.eps=..."):
        factory(config.norm, torch.nn.Module)


def test_what_may_be_null_may_be() -> None:
    config = config_of("sampler", "ddim")
    config.sampler.clip = None
    assert factory(config.sampler, Sampler)().clip is None


def test_what_a_constructor_refuses_is_told_with_its_settings() -> None:
    config = config_of("optimizer", "adam")
    config.optimizer.lr = -0.1
    make = factory(config.optimizer, torch.optim.Optimizer)
    with pytest.raises(SkiplabError, match=r"^Adam refuses optimizer.lr=-0.1, .*: Invalid learning rate: -0.1 \(adam"):
        make([torch.nn.Parameter(torch.zeros(1))])
