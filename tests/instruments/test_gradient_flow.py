"""Gradient norms equal a slow loop over entries, with gradients of an autograd run of its own."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

from skiplab.instruments.gradient_flow import GradientFlow
from skiplab.layers import weight_layers
from skiplab.training.batches import Batches
from skiplab.training.build import build
from skiplab.training.seeding import keyed_generator


def slow_norm(tensors) -> float:
    return math.sqrt(sum(float(entry) ** 2 for tensor in tensors for entry in tensor.flatten().tolist()))


def test_weight_gradients(step, measured) -> None:
    readings, before, _ = measured(GradientFlow(every_n_steps=1))
    step.loss(before).backward()
    assert readings["weight_gradient_norm"].keys() == {layer.path for layer in step.layers}
    for path, norm in readings["weight_gradient_norm"].items():
        own = before.get_submodule(path).parameters(recurse=False)
        assert norm == pytest.approx(slow_norm(parameter.grad for parameter in own), rel=1e-9), path


def test_gradients_of_output_activations(step, measured) -> None:
    """The gradient for a layer's output is the gradient for a zero that is added to it."""
    readings, before, _ = measured(GradientFlow(every_n_steps=1))
    zeros: dict[str, torch.Tensor] = {}

    def add_zero(path: str):
        def hook(module, inputs, output):
            zeros[path] = torch.zeros_like(output, requires_grad=True)
            return output + zeros[path]

        return hook

    for path in readings["activation_gradient_norm"]:
        before.get_submodule(path).register_forward_hook(add_zero(path))
    step.loss(before).backward()
    for path, norm in readings["activation_gradient_norm"].items():
        assert norm == pytest.approx(slow_norm([zeros[path].grad]), rel=1e-9), path
        assert norm > 0


def test_a_layer_that_is_called_twice_counts_all_its_outputs() -> None:
    layer = nn.Linear(1, 1, bias=False).double()
    model = nn.Sequential(layer, layer)
    with torch.no_grad():
        layer.weight.fill_(3.0)
    x = torch.ones(1, 1, dtype=torch.float64)
    instrument = GradientFlow(every_n_steps=1)
    instrument.begin(weight_layers(model, x), [])
    model(x).sum().backward()  # y = w (w x): dy/d(first output) = w = 3, dy/d(second output) = 1, dy/dw = 2 w = 6
    instrument.before_update()
    weights, activations = instrument.after_update()
    assert [float(value) for value in weights.values] == [6.0]
    assert [float(value) for value in activations.values] == pytest.approx([math.sqrt(3**2 + 1)])


def test_a_trials_readings_are_of_its_own_batch(finished) -> None:
    """The first step of a real trial, computed again in float64 from (seed, step) alone."""
    config = finished.composed.config
    parts = build(config)
    generator = keyed_generator(config.seed, "noise", 0)
    split = parts.data.train
    x0, labels = split.at(Batches(len(split), config.batch_size, config.seed).indices(0))
    time = parts.objective.noise_schedule.draw(len(x0), generator)
    noise = torch.randn(x0.shape, generator=generator)
    noised = parts.objective.noised(x0.double(), noise.double(), time.double(), labels)
    model = parts.model.double()
    (model(noised.x_t, noised.time) - noised.target).square().mean().backward()
    readings = pd.read_csv(finished.record.folder / "layers.csv")
    first = readings[(readings["step"] == 0) & (readings["quantity"] == "weight_gradient_norm")]
    assert len(first) == 18
    for path, value in zip(first["path"], first["value"], strict=True):
        own = model.get_submodule(path).parameters(recurse=False)
        # the trial ran in float32
        assert value == pytest.approx(slow_norm(parameter.grad for parameter in own), rel=1e-4, abs=1e-7), path


def test_gradients_are_read_before_clipping(finished, run, tmp_path) -> None:
    clipped = run(tmp_path, "trainer.gradient_clip_norm=1e-3", "trainer.max_steps=2")
    free, bound = (pd.read_csv(trial.record.folder / "layers.csv") for trial in (finished, clipped))
    free, bound = (rows[(rows["step"] == 0) & rows["quantity"].str.endswith("gradient_norm")] for rows in (free, bound))
    assert bound["value"].tolist() == free["value"].tolist()
    assert bound["value"].max() > 1e-2


def test_summary_is_the_ratio_of_the_blocks_geometric_means() -> None:
    def rows(index: int, path: str, *values: float):
        return [(step, index, path, "weight_gradient_norm", value) for step, value in enumerate(values)]

    readings = pd.DataFrame(
        rows(0, "stem", 100.0, 100.0)
        + rows(1, "a.branch.conv1", 1.0, 4.0)
        + rows(2, "b.branch.conv2", 8.0, 8.0)
        + rows(3, "head", 1e-9, 1e-9),
        columns=["step", "index", "path", "quantity", "value"],
    )
    summary = GradientFlow(every_n_steps=1).summarise(readings)
    assert summary == {"gradient_first_to_last": pytest.approx(2.0 / 8.0)}
    assert GradientFlow(every_n_steps=1).summarise(readings[readings["path"] == "stem"]) == {}
