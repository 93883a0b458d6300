"""Two arms start from the same weights and see the same data and noise; plain costs what identity costs."""

from functools import cache

import pytest
import torch

from option_files import backbones, options
from skiplab.errors import SkiplabError
from skiplab.objectives.denoising import Denoising
from skiplab.training.build import build_objective
from skiplab.training.parity import parity
from small_networks import DATA, home, small
from tiny_trials import network

# Every branch on one backbone, and every backbone with the branch that it is at home with.
PLACES = [("isotropic", branch) for branch in options("branch")]
PLACES += [(backbone, home(backbone).branch) for backbone in backbones() if backbone != "isotropic"]


def at_home(connection: str, backbone: str, branch: str):
    """A small configuration and its data."""
    place = home(backbone)
    choices = {"objective": place.objective, "long_skip": place.long_skip, "depth": place.depth}
    return small(connection=connection, backbone=backbone, branch=branch, **choices), DATA[place.data]


@cache
def plain_weights(backbone: str, branch: str) -> dict[str, torch.Tensor]:
    return network(*at_home("plain", backbone, branch)).state_dict()


@pytest.mark.parametrize(("backbone", "branch"), PLACES)
@pytest.mark.parametrize("connection", options("connection"))
def test_flipping_the_connection_leaves_shared_weights_bit_equal(connection, branch, backbone) -> None:
    plain = plain_weights(backbone, branch)
    try:
        other = network(*at_home(connection, backbone, branch)).state_dict()
    except SkiplabError:
        return  # test_combinations looks at the reason
    for name, value in plain.items():
        assert torch.equal(value, other[name]), name
    assert all(".connection." in name for name in other.keys() - plain.keys())


@pytest.mark.parametrize("long_skip", options("long_skip"))
def test_flipping_the_long_skip_leaves_layers_of_equal_shape_bit_equal(long_skip, digits) -> None:
    concat = network(small(long_skip="concat"), digits).state_dict()
    other = network(small(long_skip=long_skip), digits).state_dict()
    # A layer that reads more channels also starts with a smaller bias: its weight and bias differ together.
    reshaped = {layer(name) for name in concat if name not in other or concat[name].shape != other[name].shape}
    shared = [name for name in concat if layer(name) not in reshaped]
    assert len(shared) > 0.9 * len(concat)
    for name in shared:
        assert torch.equal(concat[name], other[name]), name


def layer(name: str) -> str:
    return name.rpartition(".")[0]


def test_deeper_networks_keep_the_weights_of_equal_paths(digits) -> None:
    shallow, deep = small(), small()
    deep.depth = 8
    few, many = network(shallow, digits).state_dict(), network(deep, digits).state_dict()
    assert all(torch.equal(value, many[name]) for name, value in few.items())
    assert len(many) > len(few)


def test_initial_weights_depend_on_the_seed_and_not_on_the_global_generator(digits) -> None:
    states = []
    for global_seed, seed in ((1, 0), (2, 0), (2, 1)):
        config = small()
        config.seed = seed
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        states.append(network(config, digits).state_dict())
        assert torch.equal(torch.get_rng_state(), before), "building draws from the global generator"
    first, same, other = states
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_two_layers_of_one_shape_start_differently(digits) -> None:
    state = network(small(backbone="isotropic", long_skip="none"), digits).state_dict()
    alike = [value for name, value in state.items() if name.endswith("conv1.weight")]
    assert len(alike) == 4
    assert not torch.equal(alike[0], alike[1])


@pytest.mark.parametrize(("backbone", "branch"), PLACES)
def test_plain_costs_what_identity_costs(branch, backbone) -> None:
    costs = []
    for connection in ("plain", "identity"):
        config, data = at_home(connection, backbone, branch)
        example = build_objective(config, data).example(data.train.shape)
        costs.append(parity(network(config, data), example, config.depth))
    plain, identity = costs
    assert plain["num_parameters"] == identity["num_parameters"] > 0
    assert plain["flops_per_sample"] == identity["flops_per_sample"] > 0


@pytest.fixture
def seen(monkeypatch):
    """What each training step sees: its images, labels, times and noise, and the labels the network is told."""
    steps: list[tuple[torch.Tensor, ...]] = []
    loss_of = Denoising.loss_of

    def spied(self, model, batch):
        if isinstance(model, torch.nn.Module):  # not the zero predictor, whose loss says what diverged is
            steps.append(tuple(tensor.clone() for tensor in batch.tensors()))
        return loss_of(self, model, batch)

    monkeypatch.setattr(Denoising, "loss_of", spied)
    return steps


def test_two_arms_see_the_same_batches_and_noise(seen, run, tmp_path) -> None:
    trials = {}
    for name, overrides in {
        "identity": ["connection=identity"],
        "plain": ["connection=plain"],
        "deep": ["connection=plain", "depth=8", "long_skip=none", "optimizer.lr=0.1"],
        "other seed": ["seed=1"],
    }.items():
        seen.clear()
        run(tmp_path, "trainer.max_steps=4", *overrides)
        trials[name] = list(seen)
    assert len(trials["identity"]) == 4
    for name in ("plain", "deep"):
        for step, other in zip(trials["identity"], trials[name], strict=True):
            assert len(step) >= 4
            assert all(map(torch.equal, step, other))
    images, _, times, noise, *_ = trials["identity"][0]
    for own, place in ((images, 0), (times, 2), (noise, 3)):
        assert not torch.equal(own, trials["other seed"][0][place])
        assert not torch.equal(own, trials["identity"][1][place])
