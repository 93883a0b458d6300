"""R equals a loop over pairs of gradients taken one input at a time; closed forms for known functions."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from pointwise import Pointwise
from torch import nn

from objectives_by_name import denoising
from skiplab.data.dataset import Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.gradient_correlation import GradientCorrelation, correlation
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.seeding import keyed_generator
from small_networks import DATA, small
from tiny_trials import network

COUNT, READ_OUTS = 6, 3
SETTINGS = {"num_inputs": COUNT, "num_read_outs": READ_OUTS, "time": 0.5}


@pytest.fixture
def made(trained: Trained):
    """made(untrained, objective): a network on random points."""

    def make(untrained: nn.Module, objective) -> Trained:
        data = copy.copy(DATA["points"])
        data.val = Split(data.val.stored, torch.arange(20) % 7)
        return replace(trained, make_untrained=lambda: untrained.eval(), objective=objective, data=data, _samples={})

    return make


def slow(function, inputs: torch.Tensor, read_outs: torch.Tensor) -> float:
    """By the definition, in float64: a gradient an input, a product a pair."""
    products, squares = [], []
    for read_out in read_outs.double():
        gradients = []
        for x in inputs.double():
            x = x[None].clone().requires_grad_()
            (read_out * function(x)[0]).sum().backward()
            gradients.append(x.grad.flatten().numpy())
        products += [a @ b for i, a in enumerate(gradients) for j, b in enumerate(gradients) if i != j]
        squares += [a @ a for a in gradients]
    return np.mean(products) / np.mean(squares)


@pytest.mark.parametrize("connection", ["plain", "identity"])
def test_equals_a_loop_over_pairs_with_batch_norm_over_the_inputs(made, connection: str) -> None:
    choices = {"backbone": "mlp", "branch": "layer", "norm": "batch", "activation": "relu", "connection": connection}
    config = small(long_skip="none", depth=2, objective="cross_entropy", **choices)
    model = network(config, DATA["points"]).eval()
    inputs, _ = DATA["points"].val.first(COUNT)
    settled = copy.deepcopy(model).double().train()
    for norm in settled.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.momentum = 1.0
    settled(inputs.double())
    settled.eval()
    before = copy.deepcopy(model.state_dict())
    evaluator = GradientCorrelation(**SETTINGS)
    found = evaluator.evaluate(made(model, CrossEntropy(10, label_smoothing=0.0))).summary
    read_outs = torch.randn(READ_OUTS, 10, generator=keyed_generator(0, "gradient_correlation/read_out"))
    assert found["gradient_correlation"] == pytest.approx(slow(settled, inputs, read_outs), rel=1e-4)
    assert found["gradient_correlation_noise"] != found["gradient_correlation"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_gradients_of_a_linear_denoiser_are_alike_everywhere(made) -> None:
    found = GradientCorrelation(**SETTINGS).evaluate(made(Pointwise(lambda x: 3 * x), denoising(num_classes=10)))
    assert found.summary == pytest.approx(dict.fromkeys(GradientCorrelation.metrics, 1.0))


def test_rectified_noise_has_half_of_it_in_each_coordinate(made) -> None:
    """Two inputs activate a rectifier together in a quarter of the cases, each by itself in half of them."""
    gradients = (torch.randn(4, 2000, 50, generator=torch.Generator().manual_seed(0)) > 0).double()
    assert correlation(gradients) == pytest.approx(0.5, abs=0.01)


def test_without_a_gradient_there_is_no_correlation() -> None:
    assert correlation(torch.zeros(2, 5, 3, dtype=torch.float64)) == 0.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_inputs": 1}, r"gradient_correlation.num_inputs=1 is invalid; valid: a whole number from 2"),
        ({"num_read_outs": 0}, r"num_read_outs=0 is invalid"),
        ({"time": 1.5}, r"time=1.5 is invalid; valid: a number from 0 to 1"),
    ],
)
def test_wrong_settings_are_refused(changed, message) -> None:
    with pytest.raises(SkiplabError, match=message):
        GradientCorrelation(**(SETTINGS | changed))
