"""Fixup scales branches by L^(-1/(2m-2)), starts them and the output at zero, and keeps deep networks in bounds."""

import copy

import pytest
import torch
from torch import nn

from skiplab.blocks.block import Join
from small_networks import DATA, small
from tiny_trials import network

X = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LEVEL = torch.tensor([0.1, 0.5, 0.9])


def make(init: str, depth: int = 8, **choices: str) -> nn.Module:
    config = {"backbone": "isotropic", "long_skip": "none", "norm": "none", **choices}
    return network(small(init=init, depth=depth, **config), DATA["images"])


def joins(model: nn.Module) -> list[Join]:
    return [module for module in model.modules() if isinstance(module, Join)]


@pytest.mark.parametrize(
    ("branch", "layers", "factor"),
    [
        ("preact", ["conv1"], 8 ** (-1 / 2)),
        ("bottleneck", ["conv1", "conv2"], 8 ** (-1 / 4)),
        ("convnext", ["conv", "linear1"], 8 ** (-1 / 4)),
        ("mlp", ["linear1"], 8 ** (-1 / 2)),
        ("transformer", ["linear1"], 16 ** (-1 / 2)),  # two joins a block
    ],
)
def test_layers_of_a_branch_are_scaled_by_the_number_of_joins(branch: str, layers: list[str], factor: float) -> None:
    fixup, he = make("fixup", branch=branch), make("he", branch=branch)
    for name in layers:
        found, whole = (joins(model)[-1].branch.get_submodule(name).weight for model in (fixup, he))
        torch.testing.assert_close(found, factor * whole)
    assert torch.equal(fixup.stem.weight, he.stem.weight)
    assert all(not join.branch.last.weight.any() for join in joins(fixup))
    assert not fixup.head[-1].weight.any()


def test_the_first_output_is_zero() -> None:
    assert not make("fixup")(X, LEVEL).any()


def test_a_scalar_stands_before_each_layer_and_activation_and_behind_each_branch() -> None:
    fixup, default = make("fixup", depth=1), make("default", depth=1)
    added = fixup.state_dict().keys() - default.state_dict().keys()
    assert default.state_dict().keys() <= fixup.state_dict().keys()
    names = {"conv1.offset", "conv2.offset", "activation1.offset", "activation2.offset", "multiplier"}
    assert added == {f"stage.joins.0.branch.{name}.value" for name in names}


def test_the_scalars_act_where_they_stand() -> None:
    branch = joins(make("fixup", depth=1))[0].branch
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in branch.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws))
    x, cond = torch.randn(2, 8, 4, 4, generator=draws), torch.randn(2, branch.spec.cond_width, generator=draws)
    value = {name.removesuffix(".value"): p for name, p in branch.named_parameters() if name.endswith("value")}

    def conv(name: str, inner: torch.Tensor) -> torch.Tensor:
        layer = branch.get_submodule(name)
        return nn.functional.conv2d(inner + value[f"{name}.offset"], layer.weight, layer.bias, padding=1)

    silu = nn.functional.silu
    shift = nn.functional.linear(silu(cond), branch.cond.weight, branch.cond.bias)[:, :, None, None]
    hidden = conv("conv1", silu(x + value["activation1.offset"])) + shift
    expected = value["multiplier"] * conv("conv2", silu(hidden + value["activation2.offset"]))
    torch.testing.assert_close(branch(x, cond), expected)


def test_a_copy_has_scalars_of_its_own() -> None:
    branch = joins(make("fixup", depth=1))[0].branch
    nn.init.ones_(branch.conv2.weight)
    twin = copy.deepcopy(branch)
    x, cond = torch.ones(1, 8, 4, 4), torch.zeros(1, branch.spec.cond_width)
    with torch.no_grad():
        branch.multiplier.value.fill_(0)
    assert not branch(x, cond).any()
    assert twin(x, cond).any()


@torch.no_grad()
def read_by_last_layers(init: str, depth: int) -> float:
    """Sum over branches of the mean square of what the last layer reads, to which its first step is proportional."""
    model = make(init, depth=depth)
    squares = []
    for join in joins(model):
        join.branch.last.register_forward_hook(lambda module, args, out: squares.append(args[0].square().mean().item()))
    model(X, LEVEL)
    assert len(squares) == depth
    return sum(squares)


def test_a_step_moves_the_last_stream_equally_at_every_depth() -> None:
    shallow, deep = read_by_last_layers("fixup", 8), read_by_last_layers("fixup", 64)
    assert deep / shallow == pytest.approx(1, abs=0.2)  # but for the draws; without the factor, 8


@torch.no_grad()
def growth(init: str) -> float:
    """Mean square of the last of 32 blocks' stream over that of the first."""
    model = make(init, depth=32, activation="relu")
    squares = []
    for join in joins(model):
        join.register_forward_hook(lambda module, args, stream: squares.append(stream.square().mean().item()))
    model(X, LEVEL)
    return squares[-1] / squares[0]


def test_streams_of_deep_networks_do_not_grow_where_hes_explode() -> None:
    assert growth("fixup") == 1
    assert growth("he") > 1e3


def losses(init: str) -> list[float]:
    """Of 64 blocks without norms, over a few steps of gradient descent."""
    model = make(init, depth=64, activation="relu")
    found = []
    for _ in range(8):
        loss = (model(X, LEVEL) - X).square().mean()
        found.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.01 * parameter.grad
                parameter.grad = None
    return found


def test_deep_networks_without_norms_can_be_trained() -> None:
    fixup, he = losses("fixup"), losses("he")
    assert fixup[-1] < 0.95 * fixup[0]
    assert not torch.tensor(he).isfinite().all()
