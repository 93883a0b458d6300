"""One training step in float64, as an instrument sees it, and the same step done by hand."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from skiplab.layers import Block, Layer, blocks, weight_layers
from skiplab.training.build import build_data, build_model, build_objective
from skiplab.training.seeding import keyed_generator


class Step(NamedTuple):
    """A model before its step, its layers and blocks, and the loss of its batch."""

    model: nn.Module
    layers: list[Layer]
    blocks: list[Block]
    loss: Callable[[nn.Module], Tensor]


@pytest.fixture
def step(compose_tiny) -> Step:
    config = compose_tiny("connection=layerscale").config
    data = build_data(config)
    objective = build_objective(config, data)
    model = build_model(config, data, objective).double()
    images, labels = data.train.first(16)
    images = images.double()
    noise = torch.randn(images.shape, generator=keyed_generator(0, "test"), dtype=torch.float64)
    noised = objective.noised(images, noise, torch.linspace(0.05, 0.95, 16, dtype=torch.float64), labels)

    def loss(network: nn.Module) -> Tensor:
        return (network(noised.x_t, noised.time) - noised.target).square().mean()

    layers = weight_layers(model, noised.x_t[:1], noised.time[:1])
    return Step(model, layers, blocks(model), loss)


@pytest.fixture
def measured(step):
    """measured(instrument): one step of Adam under the instrument; its readings, and the model before and after."""

    def measure(instrument):
        before = copy.deepcopy(step.model)
        optimizer = torch.optim.Adam(step.model.parameters(), lr=1e-2)
        instrument.begin(step.layers, step.blocks)
        step.loss(step.model).backward()
        instrument.before_update()
        optimizer.step()
        readings = {
            reading.quantity: {
                place.path: float(value) for place, value in zip(reading.places, reading.values, strict=True)
            }
            for reading in instrument.after_update()
        }
        assert not any(module._forward_hooks for module in step.model.modules()), "a hook was left behind"
        return readings, before, step.model

    return measure
