"""Gradient norms by noise band equal those of autograd runs on the band's samples alone."""

import math

import pytest
import torch
from torch import nn

from skiplab.instruments.gradient_by_noise import GradientByNoise
from skiplab.layers import inspect_network
from tiny_trials import network

BANDS = {"low noise": (0, 1 / 3), "middle noise": (1 / 3, 2 / 3), "high noise": (2 / 3, 1)}


def norm(tensors) -> float:
    return math.sqrt(sum(float(entry) ** 2 for tensor in tensors for entry in tensor.flatten().tolist()))


@pytest.mark.parametrize("band", BANDS)
def test_weights_of_each_layer(band: str, step, measured) -> None:
    readings, before, _ = measured(GradientByNoise(every_n_steps=1))
    low, high = BANDS[band]
    samples = (step.time >= low) & (step.time < high)
    assert 4 <= samples.sum() <= 6
    step.loss(before, samples).backward()
    found = readings[f"weight_gradient_norm_by_noise.{band}"]
    assert found.keys() == {layer.path for layer in step.network.layers}
    for path, value in found.items():
        own = before.get_submodule(path).parameters(recurse=False)
        assert value == pytest.approx(norm(parameter.grad for parameter in own), rel=1e-9), path


@pytest.mark.parametrize("band", BANDS)
def test_outputs_of_each_layer(band: str, step, measured) -> None:
    readings, before, _ = measured(GradientByNoise(every_n_steps=1))
    outputs: dict[str, torch.Tensor] = {}
    for layer in step.network.layers:
        module = before.get_submodule(layer.path)
        module.register_forward_hook(lambda _, __, output, path=layer.path: outputs.update({path: output}))
    low, high = BANDS[band]
    loss = step.loss(before, (step.time >= low) & (step.time < high))
    gradients = torch.autograd.grad(loss, list(outputs.values()))
    found = readings[f"activation_gradient_norm_by_noise.{band}"]
    for path, gradient in zip(outputs, gradients, strict=True):
        assert found[path] == pytest.approx(norm([gradient]), rel=1e-9), path


def test_a_network_that_is_told_no_level_is_left_out() -> None:
    model = nn.Linear(2, 1)
    instrument = GradientByNoise(every_n_steps=1)
    instrument.begin(inspect_network(model, torch.zeros(1, 2)), 0)
    model(torch.ones(3, 2)).sum().backward()
    instrument.before_update(loss_scale=1.0)
    assert instrument.after_update() == []


def test_an_embedding_of_labels_is_left_out(compose_tiny) -> None:
    config = compose_tiny("conditioning=label").config
    model = network(config)
    images, times, labels = torch.zeros(4, 1, 8, 8), torch.linspace(0.1, 0.9, 4), torch.arange(4)
    found = inspect_network(model, images, times, labels)
    instrument = GradientByNoise(every_n_steps=1)
    instrument.begin(found, 0)
    model(images, times, labels).sum().backward()
    instrument.before_update(loss_scale=1.0)
    first, *_ = instrument.after_update()
    embeddings = {layer.path for layer in found.layers if isinstance(layer.module, nn.Embedding)}
    assert embeddings
    assert {place.path for place in first.places} == {layer.path for layer in found.layers} - embeddings
