"""What goes forward: against NumPy, one layer at a time, and layers whose values are known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from skiplab.errors import SkiplabError
from skiplab.instruments.activation_statistics import ActivationStatistics
from skiplab.layers import inspect_network


def read(model: nn.Module, *inputs: torch.Tensor) -> dict[str, dict[str, float]]:
    instrument = ActivationStatistics(every_n_steps=1, dead_below=1e-4)
    instrument.begin(inspect_network(model, *inputs), 0)
    model(*inputs)
    instrument.before_update(loss_scale=1.0)
    assert not any(module._forward_hooks for module in model.modules())
    return {
        reading.quantity: {
            place.path: float(value) for place, value in zip(reading.places, reading.values, strict=True)
        }
        for reading in instrument.after_update()
    }


def test_each_layer_of_a_network(step, measured) -> None:
    readings, before, _ = measured(ActivationStatistics(every_n_steps=1, dead_below=1e-4))
    seen: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for layer in step.network.layers:
        module = before.get_submodule(layer.path)
        module.register_forward_hook(
            lambda _, given, output, path=layer.path: seen.update({path: (given[0].numpy(), output.numpy())})
        )
    with torch.no_grad():
        step.loss(before)
    assert readings["activation_rms"].keys() == seen.keys()
    for path, (given, output) in seen.items():
        channels = np.moveaxis(output, 1, 0).reshape(output.shape[1], -1)
        values = np.linalg.svd(channels - channels.mean(axis=1, keepdims=True), compute_uv=False) ** 2
        shares = values[values > 0] / values.sum()
        rank = math.exp(-sum(share * math.log(share) for share in shares))
        assert readings["activation_mean"][path] == pytest.approx(output.mean(), rel=1e-8, abs=1e-12)
        assert readings["activation_rms"][path] == pytest.approx(math.sqrt((output**2).mean()), rel=1e-9)
        assert readings["effective_rank"][path] == pytest.approx(rank, rel=1e-6)
        spread = np.moveaxis(given, 1, 0).reshape(given.shape[1], -1).std(axis=1)
        dead = sum(spread <= 1e-4 * math.sqrt((given**2).mean())) / given.shape[1]
        assert readings["dead_fraction"][path] == pytest.approx(dead)


def test_channels_behind_a_relu_that_passes_nothing_are_dead() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.copy_(torch.tensor([0.0, -100.0, -100.0, 5.0]))
    found = read(model, torch.rand(3, 1, 5, 5, generator=torch.manual_seed(0)))
    assert found["dead_fraction"] == {"0": 0.0, "2": 0.5}


def test_the_effective_rank_counts_directions_of_equal_size() -> None:
    model = nn.Linear(4, 6, bias=True).double()
    with torch.no_grad():
        model.weight.zero_()
        model.weight[0, 0] = model.weight[1, 1] = model.weight[2, 2] = 1.0
        model.weight[5] = model.weight[0]  # a copy is no direction of its own
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 4)
    found = read(model, corners)["effective_rank"][""]
    shares = [2 / 4, 1 / 4, 1 / 4]  # channels 0 and 5 together, 1, 2
    assert found == pytest.approx(math.exp(-sum(share * math.log(share) for share in shares)))


def test_a_constant_output_has_no_rank() -> None:
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.zero_()
    found = read(model, torch.rand(8, 3, generator=torch.manual_seed(0)))
    assert found["effective_rank"] == {"": 0.0}


def test_complex_outputs_are_left_out() -> None:
    class ToComplex(nn.Linear):
        def forward(self, x):
            return torch.complex(super().forward(x), x)

    layer, x = ToComplex(2, 2), torch.randn(3, 2)
    instrument = ActivationStatistics(every_n_steps=1, dead_below=0.0)
    instrument.begin(inspect_network(layer, x), 0)
    layer(x)
    instrument.before_update(1.0)
    assert instrument.after_update() == []


def test_summary_is_of_the_blocks_layers(log) -> None:
    rows = [
        (0, 0, "stem", "effective_rank", 100.0),
        (0, 1, "a.branch.conv", "effective_rank", 2.0),
        (50, 1, "a.branch.conv", "effective_rank", 8.0),
        (0, 0, "stem", "dead_fraction", 1.0),
        (0, 1, "a.branch.conv", "dead_fraction", 0.25),
        (50, 1, "a.branch.conv", "dead_fraction", 0.75),
    ]
    found = ActivationStatistics(every_n_steps=50, dead_below=0.0).summarize(log(rows))
    assert found == {"effective_rank_blocks": pytest.approx(4.0), "dead_fraction": 0.5}
    assert ActivationStatistics(every_n_steps=50, dead_below=0.0).summarize(log()) == {}


def test_refuses_a_threshold_above_one() -> None:
    with pytest.raises(SkiplabError, match=r"dead_below=1\.5 is invalid.*from 0 to 1"):
        ActivationStatistics(every_n_steps=1, dead_below=1.5)
