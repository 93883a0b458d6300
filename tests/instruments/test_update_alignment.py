"""Updates against their streams: NumPy on streams and gradients of an autograd run, and cases that are known."""

import numpy as np
import pytest
import torch
from torch import nn

from skiplab.instruments.update_alignment import UpdateAlignment
from skiplab.layers import inspect_network
from skiplab.training.build import build_data
from tiny_trials import network


def measure(model: nn.Module, inputs: tuple[torch.Tensor, ...], target: torch.Tensor) -> dict[str, dict[str, float]]:
    instrument = UpdateAlignment(every_n_steps=1)
    instrument.begin(inspect_network(model, *inputs), 0)
    (model(*inputs) - target).square().mean().backward()
    instrument.before_update(loss_scale=1.0)
    assert not any(module._forward_hooks for module in model.modules())
    return {
        reading.quantity: {
            place.path: float(value) for place, value in zip(reading.places, reading.values, strict=True)
        }
        for reading in instrument.after_update()
    }


@pytest.mark.parametrize("connection", ["identity", "plain", "highway_gate"])
def test_sizes_and_cosines_of_each_join(connection: str, compose_tiny) -> None:
    config = compose_tiny(f"connection={connection}", "depth=8").config
    data = build_data(config)
    model = network(config, data).double()
    x, _ = data.train.first(8)
    inputs = (x.double(), torch.linspace(0.1, 0.9, 8, dtype=torch.float64))
    target = torch.zeros_like(inputs[0])
    found = measure(model, inputs, target)
    streams: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for place in inspect_network(model, *inputs).joins:
        place.module.register_forward_hook(
            lambda _, given, after, path=place.path: streams.update({path: (given[0], after)})
        )
    loss = (model(*inputs) - target).square().mean()
    gradients = torch.autograd.grad(loss, [before for before, _ in streams.values()])
    assert found["alignment"].keys() == streams.keys()
    for (path, (before, after)), gradient in zip(streams.items(), gradients, strict=True):
        x, change, downhill = (tensor.detach().numpy().reshape(8, -1) for tensor in (before, after - before, -gradient))
        sizes = np.sqrt((change**2).sum(axis=1) / (x**2).sum(axis=1))
        lengths = np.sqrt((change**2).sum(axis=1) * (downhill**2).sum(axis=1))
        assert found["relative_update"][path] == pytest.approx(sizes.mean(), rel=1e-9)
        assert found["alignment"][path] == pytest.approx(((change * downhill).sum(axis=1) / lengths).mean(), rel=1e-9)
        assert found["stream_rms"][path] == pytest.approx(np.sqrt((x**2).mean()), rel=1e-9)


def test_joins_where_the_width_changes_have_no_stream_to_compare_with(compose_tiny) -> None:
    config = compose_tiny(
        "backbone=resnet", "long_skip=none", "objective=cross_entropy", "depth=6", "evaluator=[]"
    ).config
    data = build_data(config)
    model = network(config, data)
    images, _ = data.train.first(8)
    found = measure(model, (images,), torch.zeros(8, data.num_classes))
    joins = inspect_network(model, images[:1]).joins
    assert len(joins) == 6
    assert len(found["alignment"]) == 4  # the first join of the second and of the third stage are transitions


def test_connections_that_remember_more_than_the_stream_are_left_out(compose_tiny) -> None:
    config = compose_tiny("connection=hyper_connections").config
    data = build_data(config)
    model = network(config, data)
    images, _ = data.train.first(4)
    found = measure(model, (images, torch.full((4,), 0.5)), torch.zeros_like(images))
    assert found == {"alignment": {}, "relative_update": {}, "stream_rms": {}}
    assert UpdateAlignment(every_n_steps=1).metrics.keys() == {"update_alignment", "update_size"}


def test_summary(log) -> None:
    rows = [(0, 0, "a", "alignment", 0.25), (0, 1, "b", "alignment", -0.75)]
    rows += [(0, 0, "a", "relative_update", 0.1), (0, 1, "b", "relative_update", 0.4)]
    found = UpdateAlignment(every_n_steps=1).summarise(log(rows))
    assert found == {"update_alignment": -0.25, "update_size": pytest.approx(0.2)}
    assert UpdateAlignment(every_n_steps=1).summarise(log()) == {}
