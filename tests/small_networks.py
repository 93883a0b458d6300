"""Where each backbone is at home, found by trying: no test keeps a list of what goes with what."""

from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf

from option_files import CONF, options
from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError
from tiny_trials import compose_config, network


class Noise(Dataset):
    """Random data of a shape, of ten classes."""

    num_classes = 10

    def __init__(self, *shape: int) -> None:
        stored = torch.randn(20, *shape, generator=torch.Generator().manual_seed(0))
        self.train = self.val = Split(stored, torch.arange(20) % 10)


DATA = {"images": Noise(1, 8, 8), "points": Noise(2)}


class Home(NamedTuple):
    """What a backbone is built with in tests: data, objective, branch, a long skip and the smallest depth from 3."""

    data: str
    objective: str
    branch: str
    long_skip: str
    depth: int


def small(**choices: str | int):
    """A small configuration with these options; each option's node is made once."""
    config = compose_config("width=8", "depth=4").config
    for axis, option in choices.items():
        config[axis] = option if axis == "depth" else _node(axis, str(option))  # a copy of it
    if "channel_multipliers" in config.backbone:
        config.backbone.channel_multipliers = [1, 2]
    if "reduction" in config.branch:
        config.branch.reduction = 2  # four inner channels, two a group: a group of one would undo its bias
    if "num_groups" in config.norm:
        config.norm.num_groups = 2  # four channels a group: of points, two would keep their signs alone
    return config


@cache
def _node(axis: str, option: str) -> Any:
    """What its file says: it is composed, which takes long, only where the file is built on others."""
    written = OmegaConf.load(CONF / axis / f"{option}.yaml")
    if "defaults" not in written:
        return written
    return OmegaConf.create(OmegaConf.to_container(compose_config(f"{axis}={option}").config[axis]))


def accepted(data: Dataset, **choices: str | int) -> bool:
    """Whether such a network can be built."""
    try:
        network(small(**choices), data)
    except SkiplabError:
        return False
    return True


@cache
def home(backbone: str) -> Home:
    """The first data, objective and depth that it can be built with, and the first long skip that it takes there."""
    objectives = sorted(options("objective"), key=lambda name: name != compose_config().choices["objective"])
    for depth, data, objective in product(range(3, 13), DATA, objectives):
        for branch in ("preact", "mlp"):
            choices = {"backbone": backbone, "objective": objective, "branch": branch, "depth": depth}
            if accepted(DATA[data], long_skip="none", **choices):  # which every backbone takes
                found = (name for name in options("long_skip") if accepted(DATA[data], long_skip=name, **choices))
                return Home(data, objective, branch, next(found), depth)
    raise AssertionError(f"backbone={backbone} was refused everywhere")
