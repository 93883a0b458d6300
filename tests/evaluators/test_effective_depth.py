"""Shares of the gradient equal closed forms for linear networks, and products of Jacobians for small real ones."""

import math
from dataclasses import replace

import pytest
import torch
from drawn import drawn
from torch import nn

from objectives_by_name import denoising
from skiplab.blocks.block import BranchJoin
from skiplab.blocks.branch import Branch
from skiplab.blocks.connections.identity import Identity
from skiplab.blocks.connections.plain import Plain
from skiplab.blocks.specification import BranchSpec, JoinSpec
from skiplab.errors import SkiplabError
from skiplab.evaluators.effective_depth import EffectiveDepth, gradient_shares
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.results.missing import UnmeasurableError
from skiplab.evaluators.streams.path_gradients import PathGradients
from skiplab.objectives.cross_entropy import CrossEntropy
from small_networks import DATA, accepted, small
from tiny_trials import network

SETTINGS = {"num_images": 4, "num_levels": 2, "num_paths": 100, "num_lengths": 17}


class Times(Branch):
    """A branch f(x) = a x."""

    def __init__(self, factor: float) -> None:
        made = {"norm": lambda _: nn.Identity(), "activation": nn.Identity}
        super().__init__(BranchSpec(width_in=1, width_out=1, stride=1, position_dims=2, cond_width=0, **made))
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: torch.Tensor, cond: torch.Tensor | None) -> torch.Tensor:
        return self.factor * x


class Chain(nn.Module):
    """Blocks of such branches, and nothing else."""

    def __init__(self, factors: list[float], connection: type = Identity) -> None:
        super().__init__()
        self.joins = nn.ModuleList(BranchJoin(Times(factor)) for factor in factors)
        for index, join in enumerate(self.joins):
            spec = JoinSpec(width=1, index=index, num_joins=len(factors), position=index, cond_width=0)
            join.block_index, join.connection = index, connection(spec)

    def forward(self, x: torch.Tensor, *_: object) -> torch.Tensor:
        for join in self.joins:
            x = join(x, None)
        return x


@pytest.fixture
def made(trained: Trained):
    def make(model: nn.Module, objective=None) -> Trained:
        objective = objective or denoising(num_classes=10)
        return replace(trained, model=model.eval(), objective=objective, data=DATA["images"], _samples={})

    return make


@pytest.mark.parametrize("num_lengths", [17, 4])  # in between, the logarithms are interpolated, here without an error
@pytest.mark.parametrize("factor", [0.1, -0.5, 2.0])
def test_the_gradient_of_a_linear_network_is_binomial(made, factor: float, num_lengths: int) -> None:
    settings = SETTINGS | {"num_lengths": num_lengths, "num_paths": 5}
    result = EffectiveDepth(**settings).evaluate(made(Chain([factor] * 7)))
    total = (1 + abs(factor)) ** 7
    expected = {length: math.comb(7, length) * abs(factor) ** length / total for length in range(8)}
    assert drawn(result, "gradient_by_path_length") == pytest.approx(expected, rel=1e-5)
    fraction = abs(factor) / (1 + abs(factor))
    assert result.summary["effective_depth"] == pytest.approx(7 * fraction, rel=1e-5)
    assert result.summary["effective_depth_fraction"] == pytest.approx(fraction, rel=1e-5)
    least = next(k for k in range(8) if sum(expected[length] for length in range(k + 1)) >= 0.95)
    assert result.summary["effective_depth_95"] == least
    norms = drawn(result, "path_gradient_norm")
    assert {k: norm / norms[0] for k, norm in norms.items()} == pytest.approx({k: abs(factor) ** k for k in norms})


def test_different_branches_count_each_with_its_own_odds(made) -> None:
    """With every path taken, the length is a sum of independent joins, each in with odds a to 1."""
    factors = [0.1, 0.5, 1.0, 3.0]
    result = EffectiveDepth(**SETTINGS).evaluate(made(Chain(factors)))
    assert result.summary["effective_depth"] == pytest.approx(sum(a / (1 + a) for a in factors), rel=1e-5)


@pytest.mark.parametrize("num_lengths", [17, 3])
def test_a_plain_networks_effective_depth_is_its_depth(made, num_lengths: int) -> None:
    config = small(backbone="isotropic", branch="preact", long_skip="none", connection="plain", depth=5)
    result = EffectiveDepth(**SETTINGS | {"num_lengths": num_lengths}).evaluate(made(network(config, DATA["images"])))
    assert result.summary == {"effective_depth": 5.0, "effective_depth_fraction": 1.0, "effective_depth_95": 5.0}
    assert drawn(result, "gradient_by_path_length") == {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 1}
    assert set(drawn(result, "path_gradient_norm")) == {5}
    assert EffectiveDepth(**SETTINGS).evaluate(made(Chain([0.5] * 3, Plain))).summary["effective_depth"] == 3


CONNECTIONS = ("identity", "highway_gate", "hyper_connections_dynamic", "dense", "attention_residuals", "deep_delta")


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_gradients_of_all_paths_add_up_to_the_networks(made, connection: str, monkeypatch) -> None:
    """The paths share out the gradient: no part of it is lost or counted twice, whatever a connection keeps."""
    choices = {"backbone": "isotropic", "branch": "preact", "long_skip": "none", "connection": connection}
    assert accepted(DATA["images"], **choices)
    model = network(small(**choices, depth=3), DATA["images"]).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    paths, found = PathGradients(made(model), EvalBatch(num_images=4, num_levels=1)), []
    kept = PathGradients._gradients

    def keep(self, num_images):
        for gradient in kept(self, num_images):
            found.append(gradient)
            yield gradient

    monkeypatch.setattr(PathGradients, "_gradients", keep)
    for number in range(8):
        paths.norm({index for index in range(3) if number >> index & 1})
    paths._norm([None] * 3)
    *parts, whole = found
    assert torch.allclose(sum(parts), whole, atol=1e-5 * float(whole.abs().max()))
    assert float(whole.abs().max()) > 0
    assert sum(bool(part.any()) for part in parts) >= 4


def test_stages_that_change_the_width_and_classifiers_are_measured(made) -> None:
    config = small(backbone="resnet", branch="preact", long_skip="none", objective="cross_entropy", depth=3)
    trained = made(network(config, DATA["images"]), CrossEntropy(10, label_smoothing=0.0))
    found = EffectiveDepth(**SETTINGS).evaluate(trained)
    assert 0 < found.summary["effective_depth"] < 3
    assert len(drawn(found, "gradient_by_path_length")) == 4


def test_a_long_skip_leaves_no_effective_depth(made) -> None:
    for connection in ("plain", "identity"):
        config = small(backbone="unet", branch="preact", long_skip="concat", connection=connection, depth=8)
        with pytest.raises(UnmeasurableError, match=r"around join . of 8, as by a long skip"):
            EffectiveDepth(**SETTINGS).evaluate(made(network(config, DATA["images"])))


def test_the_network_is_as_before(made) -> None:
    model = Chain([0.5] * 3)
    EffectiveDepth(**SETTINGS).evaluate(made(model))
    assert not any("write" in vars(join.connection) for join in model.joins)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_networks_without_a_gradient_or_joins_are_unmeasurable(made) -> None:
    with pytest.raises(UnmeasurableError, match="no path carries a gradient"):
        EffectiveDepth(**SETTINGS).evaluate(made(Chain([0.0] * 2, Plain)))
    with pytest.raises(UnmeasurableError, match="no joins"):
        EffectiveDepth(**SETTINGS).evaluate(made(nn.Conv2d(1, 1, 1)))
    with pytest.raises(UnmeasurableError, match="finite"):
        gradient_shares(1, {0: math.inf, 1: 1.0})


@pytest.mark.parametrize(("name", "value"), [("num_paths", 0), ("num_lengths", 1), ("num_images", 0)])
def test_refuses_settings_out_of_range(name: str, value: int) -> None:
    with pytest.raises(SkiplabError, match=f"{name}={value}"):
        EffectiveDepth(**(SETTINGS | {name: value}))
