"""A network that zero_last starts is the network of its shortcuts."""

import pytest
import torch
from torch import nn

from option_files import options
from skiplab.blocks.block import Join
from small_networks import DATA, small
from tiny_trials import network

X = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LEVEL = torch.tensor([0.1, 0.5, 0.9])
BRANCHES = options("branch")


def joins(model: nn.Module) -> list[Join]:
    return [module for module in model.modules() if isinstance(module, Join)]


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("norm", ["group", "none"])
def test_the_network_equals_that_of_its_shortcuts(branch: str, norm: str) -> None:
    choices = {"backbone": "isotropic", "long_skip": "none", "branch": branch, "norm": norm}
    started = network(small(**choices, init="zero_last"), DATA["images"])
    shortcuts = network(small(**choices), DATA["images"])
    with torch.no_grad():
        assert not torch.equal(started(X, LEVEL), shortcuts(X, LEVEL))
        for join in joins(shortcuts):
            join.branch.register_forward_hook(lambda module, args, update: torch.zeros_like(update))
        assert torch.equal(started(X, LEVEL), shortcuts(X, LEVEL))


def test_only_the_last_module_of_each_branch_differs_from_default() -> None:
    started, default = (network(small(init=init), DATA["images"]).state_dict() for init in ("zero_last", "default"))
    changed = {name for name, value in started.items() if not torch.equal(value, default[name])}
    assert changed == {name for name in default if ".branch.conv2." in name}
    assert not any(started[name].any() for name in changed)


def test_a_norm_that_stands_last_loses_its_gain_and_its_bias() -> None:
    for join in joins(network(small(init="zero_last", branch="basic"), DATA["images"])):
        assert not join.branch.norm2.weight.any()
        assert not join.branch.norm2.bias.any()
        assert join.branch.conv2.weight.any()
