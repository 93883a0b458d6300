"""Costs equal a count by hand."""

import pytest
import torch
from torch import nn

from skiplab.backbones.unet import UNet
from skiplab.layers import inspect_network
from skiplab.training.build import build
from skiplab.training.parity import parity
from tiny_trials import network


class Tiny(nn.Module):
    """A convolution of 9 pixels and a linear map, in sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 5, kernel_size=3, padding=1, bias=False)
        self.linear = nn.Linear(5, 7)

    def forward(self, x, level):
        return self.linear(self.conv(x).mean(dim=(2, 3)))


def example(*shape: int):
    """An image of zeros and its noise level."""
    return torch.zeros(1, *shape), torch.full((1,), 0.5)


def test_counts() -> None:
    costs = parity(Tiny(), example(2, 4, 4), depth=1)
    assert costs["num_parameters"] == 5 * 2 * 9 + 5 * 7 + 7
    assert costs["flops_per_sample"] == 2 * (4 * 4 * 5 * 2 * 9) + 2 * 5 * 7
    assert costs["num_layers"] == 2
    assert costs["num_joins"] == 0
    assert costs["depth"] == 1


def test_activation_memory_counts_what_backward_needs_and_no_weights() -> None:
    costs = parity(Tiny(), example(2, 4, 4), depth=1)
    # kept: the convolution's input (2 * 16 floats) and the linear map's (5 floats)
    assert costs["activation_bytes_per_sample"] == 4 * (2 * 16 + 5)


def test_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model = nn.Sequential()
    model.forward = lambda x, level: nn.functional.dropout(weight * x, 0.5)
    weight = model.weight = nn.Parameter(torch.ones(1))
    parity(model, example(1, 2, 2), depth=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("depth", [4, 8])
def test_records_of_a_network_name_its_depth_and_joins(depth: int, compose_tiny) -> None:
    config = compose_tiny(f"depth={depth}").config
    costs = parity(network(config), example(1, 8, 8), config.depth)
    assert costs["depth"] == costs["num_joins"] == depth
    # two convolutions and a conditioning map a block; two maps of the embedding, stem, down, up and head
    assert costs["num_layers"] == 3 * depth + 6


def test_a_trial_passes_its_network_once_before_training(compose_tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    passes, forward = [], UNet.forward
    monkeypatch.setattr(UNet, "forward", lambda *given: passes.append(1) or forward(*given))
    components = build(compose_tiny().config)
    assert len(passes) == 1
    assert components.network == inspect_network(components.model, *example(1, 8, 8))
