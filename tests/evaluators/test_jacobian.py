"""Spectra equal numpy's of matrices made row by row; spread and median equal closed forms of known linear maps."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import drawn
from torch import nn

from objectives_by_name import denoising
from skiplab.data.dataset import Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.jacobian import Jacobian, jacobian, spectrum
from skiplab.evaluators.results.missing import measured
from skiplab.objectives.cross_entropy import CrossEntropy
from small_networks import DATA, small
from tiny_trials import network

SETTINGS = {"num_images": 3, "num_levels": 2}


class Linear(nn.Module):
    """An output that is a linear map of the input alone."""

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, x: torch.Tensor, level: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        return (x.flatten(1) @ self.matrix.T).view_as(x)


def row_by_row(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> np.ndarray:
    """The derivatives of a network in float64, one backward pass an output."""
    x = x.double()[None].requires_grad_()
    rows = [torch.autograd.grad(entry, x, retain_graph=True)[0].flatten() for entry in function(x).flatten()]
    return torch.stack(rows).numpy()


@pytest.fixture
def made(trained: Trained):
    """made(model, shape): a network on random data, with the same network as its untrained one but for its sign."""

    def make(model: nn.Module, *shape: int, conditioning: str = "none", objective=None) -> Trained:
        data = copy.copy(DATA["points" if shape == (2,) else "images"])
        stored = torch.randn(8, *shape, generator=torch.Generator().manual_seed(3))
        data.val = Split(stored, torch.arange(8) % 10)
        objective = objective or denoising(conditioning=conditioning, num_classes=10)
        return replace(
            trained, model=model.eval(), make_untrained=lambda: model, objective=objective, data=data, _samples={}
        )

    return make


NETWORKS = [
    ("mlp", "mlp", "none", (2,)),
    ("isotropic", "preact", "none", (1, 8, 8)),
    ("dit", "transformer", "none", (1, 8, 8)),
    ("uvit", "transformer", "concat", (1, 8, 8)),
    ("unet", "preact", "add", (1, 8, 8)),
]


def small_network(backbone: str, branch: str, long_skip: str, **choices: str | int) -> nn.Module:
    depth = {"uvit": 3, "unet": 4}.get(backbone, 2)
    config = small(backbone=backbone, branch=branch, long_skip=long_skip, depth=depth, **choices)
    return network(config, DATA["points" if backbone == "mlp" else "images"]).eval()


@pytest.mark.parametrize(("backbone", "branch", "long_skip", "shape"), NETWORKS)
def test_matrix_and_spectrum_equal_those_made_row_by_row(backbone, branch, long_skip, shape) -> None:
    model = small_network(backbone, branch, long_skip).double()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def function(batch: torch.Tensor) -> torch.Tensor:
        return model(batch, torch.full((1,), 0.3, dtype=torch.float64))

    expected = row_by_row(function, x)
    assert np.allclose(jacobian(function, x).numpy(), expected, rtol=0, atol=1e-8)
    singular = np.linalg.svd(expected, compute_uv=False)
    assert singular[-1] > 1e-6 * singular[0]  # so the floor does nothing here
    assert np.allclose(spectrum(function, x).numpy(), singular, rtol=0, atol=1e-8)


def test_many_outputs_are_differentiated_in_several_chunks() -> None:
    matrix = torch.randn(300, 300, generator=torch.Generator().manual_seed(0))
    model = Linear(matrix)
    x = torch.zeros(300, 1, 1)
    assert torch.allclose(jacobian(lambda batch: model(batch, None, None), x), matrix)


@pytest.mark.parametrize(
    ("backbone", "branch", "long_skip", "shape", "conditioning"),
    [
        ("mlp", "mlp", "none", (2,), "none"),
        ("isotropic", "preact", "none", (1, 8, 8), "none"),
        ("isotropic", "preact", "none", (1, 8, 8), "label"),
    ],
)
def test_summary_equals_spread_and_median_by_hand(made, backbone, branch, long_skip, shape, conditioning) -> None:
    data = DATA["points" if backbone == "mlp" else "images"]
    config = small(backbone=backbone, branch=branch, long_skip=long_skip, depth=2, conditioning=conditioning)
    models = []
    for seed in (1, 0):
        config.seed = seed
        models.append(network(config, data).eval())
    trained = replace(made(models[0], *shape, conditioning=conditioning), make_untrained=lambda: models[1])
    result, objective = Jacobian(**SETTINGS).evaluate(trained), trained.objective
    for suffix, model in zip(("", "_untrained"), models, strict=True):
        precise, spreads, medians = copy.deepcopy(model).double(), [], []
        for *_, noised in EvalBatch(**SETTINGS).noised(objective, trained.data.val, "val"):
            logs = []
            for x_t, time, label in zip(noised.x_t, noised.time, noised.labels, strict=True):

                def function(x: torch.Tensor, precise=precise, time=time, label=label) -> torch.Tensor:
                    told = label[None] if conditioning == "label" else None
                    scale = objective.prediction.input_scale(*objective.alpha_sigma(time[None].double(), x))
                    return precise(scale * x, time[None].double(), told)

                logs.append(np.log(np.linalg.svd(row_by_row(function, x_t), compute_uv=False)))
                spreads.append(logs[-1].std())
                medians.append(np.median(logs[-1]))
            found = drawn(result, f"jacobian_spectrum{suffix}", f"time {noised.time[0]:.3g}")
            assert list(found) == pytest.approx(np.arange(math.prod(shape)) / math.prod(shape))
            assert list(found.values()) == pytest.approx(np.exp(np.mean(logs, axis=0)), rel=2e-3)
        assert result.summary[f"jacobian_spread{suffix}"] == pytest.approx(np.mean(spreads), rel=1e-3)
        assert result.summary[f"jacobian_median{suffix}"] == pytest.approx(np.exp(np.mean(medians)), rel=1e-3)
    assert result.summary["jacobian_spread"] != pytest.approx(result.summary["jacobian_spread_untrained"], rel=1e-2)
    assert result.details == {"num_images": 3, "num_singular_values": math.prod(shape)}


def test_a_scaled_rotation_has_no_spread(made) -> None:
    rotation = torch.linalg.qr(torch.randn(9, 9, generator=torch.Generator().manual_seed(0)))[0]
    result = Jacobian(**SETTINGS).evaluate(made(Linear(2.5 * rotation), 1, 3, 3))
    assert result.summary["jacobian_spread"] == pytest.approx(0, abs=1e-6)
    assert result.summary["jacobian_median"] == pytest.approx(2.5, rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-20])
def test_spread_is_the_standard_deviation_of_the_logarithms_at_every_scale(made, scale: float) -> None:
    matrix = scale * torch.tensor([math.e, 1, math.e**-1]).diag()
    result = Jacobian(**SETTINGS).evaluate(made(Linear(matrix), 3, 1, 1))
    assert result.summary["jacobian_spread"] == pytest.approx(math.sqrt(2 / 3), rel=1e-6)
    assert result.summary["jacobian_median"] == pytest.approx(scale, rel=1e-6, abs=0)


def test_directions_that_are_lost_count_as_a_millionth_of_the_largest(made) -> None:
    result = Jacobian(**SETTINGS).evaluate(made(Linear(torch.tensor([5.0, 0.0]).diag()), 2, 1, 1))
    assert result.summary["jacobian_spread"] == pytest.approx(math.log(1e6) / 2, rel=1e-6)
    (line, *_) = {m.line for m in result.measurements}
    assert drawn(result, "jacobian_spectrum", line) == pytest.approx({0.0: 5.0, 0.5: 5e-6})


def test_a_network_that_passes_nothing_on_has_the_least_median(made) -> None:
    result = Jacobian(**SETTINGS).evaluate(made(Linear(torch.zeros(4, 4)), 1, 2, 2))
    assert result.summary["jacobian_median"] == pytest.approx(1e-30, rel=1e-6, abs=0)
    assert result.summary["jacobian_median"] <= Jacobian.metrics["jacobian_median"].floor
    assert result.summary["jacobian_spread"] == 0


def test_long_spectra_are_drawn_at_evenly_spaced_ranks(made) -> None:
    values = torch.linspace(200, 1, 200)
    result = Jacobian(num_images=1, num_levels=1).evaluate(made(Linear(values.diag()), 200, 1, 1))
    (line,) = {m.line for m in result.measurements}
    found = drawn(result, "jacobian_spectrum", line)
    assert len(found) == 64
    assert all(value == pytest.approx(200 - 200 * share, rel=1e-5) for share, value in found.items())
    assert (min(found), max(found)) == (0.0, 199 / 200)


def test_classifiers_are_measured_at_images_without_noise(made) -> None:
    model = small_network("isotropic", "preact", "none", objective="cross_entropy")
    trained = made(model, 1, 8, 8, objective=CrossEntropy(10, label_smoothing=0.0))
    result = Jacobian(**SETTINGS).evaluate(trained)
    precise = copy.deepcopy(model).double()
    images = trained.data.val.first(SETTINGS["num_images"]).images
    spectra = [np.linalg.svd(row_by_row(precise, image), compute_uv=False) for image in images]
    # ten scores are made of eight channels: two directions are lost
    assert all(values[8] < 1e-12 for values in spectra)
    logs = [np.log(np.maximum(values, 1e-6 * values[0])) for values in spectra]
    assert drawn(result, "jacobian_spectrum") == pytest.approx(
        dict(zip(np.arange(10) / 10, np.exp(np.mean(logs, axis=0)), strict=True)), rel=1e-3
    )


def test_a_network_whose_derivatives_are_not_finite_has_numbers_before_training_alone(made) -> None:
    trained = made(Linear(torch.full((4, 4), float("nan"))), 1, 2, 2)
    trained = replace(trained, make_untrained=lambda: Linear(2 * torch.eye(4)))
    found = measured(Jacobian(**SETTINGS), trained)
    assert found.summary == {
        "jacobian_spread_untrained": pytest.approx(0),
        "jacobian_median_untrained": pytest.approx(2),
    }
    lost = {"jacobian_spread", "jacobian_median", "jacobian_spectrum"}
    assert found.missing == dict.fromkeys(lost, "the network's derivatives aren't finite numbers")


@pytest.mark.parametrize("name", ["num_images", "num_levels"])
def test_refuses_counts_below_one(name: str) -> None:
    with pytest.raises(SkiplabError, match=f"{name}=0"):
        Jacobian(**(SETTINGS | {name: 0}))
