"""Agreement of successive gradients: against NumPy on gradients of an autograd run, and a known noise scale."""

import numpy as np
import pytest
import torch
from torch import nn

from skiplab.errors import SkiplabError
from skiplab.instruments.gradient_noise import GradientNoise
from skiplab.layers import inspect_network


def read(instrument: GradientNoise, model: nn.Module, network, step: int, loss: torch.Tensor) -> dict:
    instrument.begin(network, step)
    model.zero_grad()
    loss.backward()
    instrument.before_update(loss_scale=1.0)
    return {reading.quantity: [float(value) for value in reading.values] for reading in instrument.after_update()}


def test_cosines_and_products_of_each_layer(step) -> None:
    instrument = GradientNoise(every_n_steps=10)
    halves = [slice(0, 8), slice(8, 16)]
    assert read(instrument, step.model, step.network, 10, step.loss(step.model, halves[0])) == {}
    found = read(instrument, step.model, step.network, 11, step.loss(step.model, halves[1]))
    flat = []
    for half in halves:
        step.model.zero_grad()
        step.loss(step.model, half).backward()
        flat.append(
            [
                np.concatenate([p.grad.numpy().ravel() for p in layer.module.parameters(recurse=False)])
                for layer in step.network.layers
            ]
        )
    for index, (before, now) in enumerate(zip(*flat, strict=True)):
        product = float(np.sum(before * now))
        cosine = product / np.sqrt(np.sum(before**2) * np.sum(now**2))
        assert found["gradient_cosine"][index] == pytest.approx(cosine, rel=1e-9)
        assert found["gradient_product"][index] == pytest.approx(product, rel=1e-9)
        assert found["gradient_difference"][index] == pytest.approx(np.sum((now - before) ** 2), rel=1e-9)
    assert len(found["gradient_cosine"]) == len(step.network.layers)


def test_the_noise_scale_of_gradients_with_known_mean_and_variance(log) -> None:
    """Gradients m + s e / sqrt(B) in d dimensions: trace of the samples' covariance s^2 d, size of the mean |m|."""
    draws = np.random.default_rng(0)
    dimensions, size, spread, batch_size = 50, 0.7, 3.0, 16
    mean = np.full(dimensions, size)
    model = nn.Linear(dimensions, 1, bias=False).double()
    network = inspect_network(model, torch.zeros(1, dimensions, dtype=torch.float64))
    instrument, rows = GradientNoise(every_n_steps=2), []
    for step in range(4000):
        gradient = mean + spread * draws.normal(size=dimensions) / np.sqrt(batch_size)
        found = read(instrument, model, network, step, (model.weight[0] * torch.from_numpy(gradient)).sum())
        rows += [(step, 0, "a.branch.conv", name, value) for name, (value,) in found.items()]
    summary = instrument.summarize(log(rows))
    expected = spread**2 * dimensions / (size**2 * dimensions)
    assert summary["gradient_noise_scale"] == pytest.approx(expected, rel=0.05)
    assert summary["gradient_agreement"] == pytest.approx(1 / (1 + expected / batch_size), rel=0.05)


def test_a_pair_that_was_broken_off_is_left_out(step) -> None:
    assert read(GradientNoise(every_n_steps=10), step.model, step.network, 11, step.loss(step.model)) == {}


def test_complex_numbers_count_with_both_parts() -> None:
    layer = nn.Linear(2, 1, bias=False, dtype=torch.complex128)
    network = inspect_network(layer, torch.zeros(1, 2, dtype=torch.complex128))
    instrument, x = GradientNoise(every_n_steps=2), torch.tensor([[1.0, 2.0]], dtype=torch.complex128)
    for step in range(2):  # the second gradient is a quarter turn from the first
        found = read(instrument, layer, network, step, layer((1j if step else 1.0) * x).real.sum())
    assert found["gradient_cosine"] == [pytest.approx(0.0)]
    assert found["gradient_difference"] == [pytest.approx(2 * 5.0)]


def test_a_layer_without_gradient_agrees_with_nothing() -> None:
    model = nn.Linear(2, 1, bias=False)
    network = inspect_network(model, torch.zeros(1, 2))
    instrument = GradientNoise(every_n_steps=2)
    for step in range(2):
        found = read(instrument, model, network, step, (0.0 * model.weight).sum())
    assert found["gradient_cosine"] == [0.0]


def test_gradients_that_contradict_each_other_have_no_noise_scale(log) -> None:
    rows = [(1, 0, "a.branch.conv", name, -1.0) for name in ("gradient_cosine", "gradient_product")]
    rows += [(1, 0, "a.branch.conv", "gradient_difference", 4.0)]
    assert GradientNoise(every_n_steps=2).summarize(log(rows)) == {"gradient_agreement": -1.0}


def test_refuses_a_schedule_without_pairs() -> None:
    with pytest.raises(SkiplabError, match=r"every_n_steps=1 is invalid.*from 2"):
        GradientNoise(every_n_steps=1)
