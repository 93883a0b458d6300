"""Flipping one axis leaves every other node of the configuration equal."""

import pytest
import yaml
from omegaconf import OmegaConf

from option_files import CONF, every_option
from skiplab.listed_options import LISTS


@pytest.fixture(scope="module")
def default(compose):
    return compose()


@pytest.mark.parametrize(("axis", "option"), every_option())
def test_every_other_node_stays_equal(axis: str, option: str, default, flipped) -> None:
    config, choices = flipped(axis, option)
    assert set(config) == set(default.config)
    for name in default.config:
        if name != axis:
            assert config[name] == default.config[name], f"{axis}={option} changes {name}"
    assert {**choices, axis: None} == {**default.choices, axis: None}


@pytest.mark.parametrize(("axis", "option"), every_option())
def test_the_flipped_node_is_the_options_own_yaml(axis: str, option: str, flipped) -> None:
    content = yaml.safe_load((CONF / axis / f"{option}.yaml").read_text())
    own = {name: value for name, value in content.items() if name != "defaults"}
    node = OmegaConf.to_container(flipped(axis, option).config[axis])
    node = node[option] if axis in LISTS else node
    assert {name: node[name] for name in own} == own
