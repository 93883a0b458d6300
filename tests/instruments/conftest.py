"""One training step in float64, as an instrument sees it, and the same step done by hand."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from skiplab.instruments.instrument import TrainingLog
from skiplab.layers import Network, inspect_network
from skiplab.seeding import keyed_generator
from skiplab.training.build import build_data, build_model, build_objective


class Step(NamedTuple):
    """A model before its step, its places, its batch's times, and the loss of its batch or of some of its samples."""

    model: nn.Module
    network: Network
    time: Tensor
    loss: Callable[..., Tensor]


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

    def loss(network: nn.Module, samples: Tensor | slice = slice(None)) -> Tensor:
        errors = (network(noised.x_t, noised.time) - noised.target).square().flatten(1).mean(dim=1)
        return errors[samples].sum() / len(errors)

    return Step(model, inspect_network(model, noised.x_t[:1], noised.time[:1]), noised.time, loss)


@pytest.fixture
def measured(step):
    """measured(instrument): one step of Adam under the instrument; its readings, and the model before and after."""

    def measure(instrument):
        before = copy.deepcopy(step.model)
        optimizer = torch.optim.Adam(step.model.parameters(), lr=1e-2)
        instrument.begin(step.network, 0)
        step.loss(step.model).backward()
        instrument.before_update(loss_scale=1.0)
        optimizer.step()
        readings = {
            reading.quantity: {
                place.path: float(value) for place, value in zip(reading.places, reading.values, strict=True)
            }
            for reading in instrument.after_update()
        }
        modules = list(step.model.modules())
        assert not any(each._forward_hooks or each._forward_pre_hooks for each in modules), "a hook was left behind"
        return readings, before, step.model

    return measure


@pytest.fixture
def log():
    """log(rows, losses): what a trial wrote down, of rows (step, index, path, quantity, value) and a loss a step."""

    def make(
        rows=(),
        losses=(),
        *,
        diverged: bool = False,
        max_steps: int | None = None,
        zero_loss: float = 1.0,
        num_skipped: int = 0,
    ):
        return TrainingLog(
            readings=pd.DataFrame(rows, columns=["step", "index", "path", "quantity", "value"]),
            losses=pd.Series(losses, dtype=float),
            diverged=diverged,
            num_skipped=num_skipped,
            zero_loss=zero_loss,
            max_steps=len(losses) if max_steps is None else max_steps,
            batch_size=16,
        )

    return make
