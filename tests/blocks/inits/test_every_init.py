"""Every init starts every backbone, or refuses with a reason; weights depend on (seed, path) alone."""

from itertools import product

import pytest
import torch

from option_files import backbones, options
from skiplab.blocks.block import Join
from skiplab.errors import SkiplabError
from small_networks import DATA, home, small
from tiny_trials import network


def at_home(init: str, backbone: str, **choices: str):
    """A small configuration and its data."""
    place = home(backbone)
    rest = {
        "objective": place.objective,
        "long_skip": place.long_skip,
        "depth": place.depth,
        "branch": place.branch,
    }
    return small(**{"init": init, "backbone": backbone, **rest, **choices}), DATA[place.data]


def check_refusal(message: str, init: str) -> None:
    assert f"init={init}" in message
    assert "take" in message or "valid" in message


@pytest.mark.parametrize(("init", "backbone"), list(product(options("init"), backbones())))
def test_starts_a_network_alike_each_time_or_refuses_it(init: str, backbone: str) -> None:
    config, data = at_home(init, backbone)
    try:
        network(config, data)
    except SkiplabError as error:
        check_refusal(str(error), init)
        return
    states = []
    for global_seed, seed in ((1, 0), (2, 0), (2, 1)):
        config.seed = seed
        torch.manual_seed(global_seed)
        states.append(network(config, data).state_dict())
    first, same, other = states
    assert all(value.isfinite().all() for value in first.values())
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items() if name.startswith("stem."))
    network(config, data).load_state_dict(first)  # a checkpoint fits a network that is built anew


@pytest.mark.parametrize("init", [name for name in options("init") if name not in ("fixup", "zero_last")])
def test_plain_and_identity_start_from_the_same_weights(init: str) -> None:
    plain, identity = (network(*at_home(init, "unet", connection=name)).state_dict() for name in ("plain", "identity"))
    assert plain.keys() == identity.keys()
    assert all(torch.equal(value, identity[name]) for name, value in plain.items())


@pytest.mark.parametrize("init", [name for name in options("init") if name != "fixup"])
def test_deeper_networks_keep_the_weights_of_equal_paths(init: str) -> None:
    choices = {"backbone": "isotropic", "init": init, "long_skip": "none"}
    few, many = (network(small(**choices, depth=depth), DATA["images"]).state_dict() for depth in (2, 5))
    assert all(torch.equal(value, many[name]) for name, value in few.items())


@pytest.mark.parametrize(
    ("init", "connection"), list(product(["zero_last", "fixup"], ["plain", "rezero", "adaln_zero_gate"]))
)
def test_a_network_that_would_never_learn_is_refused(init: str, connection: str) -> None:
    """The gradient of every branch would be zero for good: counted where the refusal is left out."""
    with pytest.raises(SkiplabError, match=f"init={init} starts every update at zero"):
        network(*at_home(init, "isotropic", connection=connection))
    model = network(*at_home("default", "isotropic", connection=connection))
    joins = [module for module in model.modules() if isinstance(module, Join)]
    with torch.no_grad():
        for join in joins:
            for parameter in join.branch.last.parameters():
                parameter.zero_()
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model(x, torch.tensor([0.2, 0.9])).square().sum().backward()
    # The last join of a plain network still has its own bias to learn; every other branch has nothing.
    assert not any(parameter.grad.any() for parameter in joins[0].parameters() if parameter.grad is not None)
    assert model.head[-1].bias.grad.any()


def test_the_branch_of_zero_updates_learns_beside_an_identity() -> None:
    """The counterpart of the above."""
    model = network(*at_home("zero_last", "isotropic", connection="identity"))
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model(x, torch.tensor([0.2, 0.9])).square().sum().backward()
    first = next(module for module in model.modules() if isinstance(module, Join))
    assert first.branch.last.weight.grad.any()
