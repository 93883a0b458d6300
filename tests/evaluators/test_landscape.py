"""Slices equal losses of copies that were moved by hand; eigenvalues equal those of the whole Hessian matrix."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from objectives_by_name import denoising
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.eval_batches.eval_batch_loss import EvalBatchLoss
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.landscape import Landscape, filter_normalized
from skiplab.objectives.cross_entropy import CrossEntropy
from small_networks import DATA, small
from tiny_trials import network

NUM_IMAGES, NUM_LEVELS = 6, 2


def landscape(**settings: float) -> Landscape:
    defaults = {"radius": 0.5, "num_points": 3, "num_directions": 2, "num_eigenvalues": 4}
    return Landscape(num_images=NUM_IMAGES, num_levels=NUM_LEVELS, **(defaults | settings))


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def made(trained: Trained):
    """made(backbone, ...): a small network with weights of its own, on random data of its kind."""

    def make(backbone: str, branch: str, *, width: int = 8, long_skip: str = "none", **choices: str | int) -> Trained:
        data = DATA["points" if backbone == "mlp" else "images"]
        config = small(backbone=backbone, branch=branch, long_skip=long_skip, **choices)
        config.width = width
        model = network(config, data).eval()
        # min_snr of x0 weighs the levels differently
        objective = denoising("x0", loss_weighting="min_snr", num_classes=data.num_classes)
        return replace(trained, model=model, objective=objective, data=data, _samples={})

    return make


def slow_loss(trained: Trained, model: nn.Module) -> torch.Tensor:
    """The loss level by level, of a network in float64."""
    objective, eval_batch = trained.objective, EvalBatch(num_images=NUM_IMAGES, num_levels=NUM_LEVELS)
    losses = []
    for weight, (*_, noised) in zip(
        eval_batch.weights(objective), eval_batch.noised(objective, trained.data.train, "train"), strict=True
    ):
        output = objective.predict(model, noised.x_t.double(), noised.time, None)
        losses.append(weight * (output - noised.target).square().mean())
    return sum(losses) / NUM_LEVELS


def moved(trained: Trained, *steps: tuple[float, torch.Tensor]) -> float:
    """The loss of a copy whose parameters were moved one by one."""
    model = copy.deepcopy(trained.model).double()
    for step, direction in steps:
        offset = 0
        for parameter in model.parameters():
            own = direction[offset : offset + parameter.numel()].view(parameter.shape)
            parameter.data += step * own
            offset += parameter.numel()
    with torch.no_grad():
        return float(slow_loss(trained, model))


@pytest.mark.parametrize(("backbone", "branch"), [("mlp", "mlp"), ("isotropic", "preact"), ("dit", "transformer")])
def test_slices_and_surface_equal_losses_of_copies_moved_by_hand(made, backbone: str, branch: str) -> None:
    trained, evaluator = made(backbone, branch, depth=3), landscape()
    result = evaluator.evaluate(trained)
    first, second = (evaluator.direction(trained, number) for number in (0, 1))
    values = {(m.chart, m.x, m.y): m.value for m in result.measurements}
    for step in (-0.5, 0.0, 0.5):
        pair = moved(trained, (step, first)), moved(trained, (step, second))
        assert values["landscape_slice", step, None] == pytest.approx((pair[0] * pair[1]) ** 0.5, rel=1e-5)
        for other in (-0.5, 0.0, 0.5):
            expected = moved(trained, (step, first), (other, second))
            assert values["landscape_surface", step, other] == pytest.approx(expected, rel=1e-5)
    here = moved(trained)
    ratios = [moved(trained, (step, d)) / here for step in (-0.5, 0.5) for d in (first, second)]
    assert result.summary["landscape_rise"] == pytest.approx(float(np.prod(ratios)) ** 0.25, rel=1e-4)


def test_eigenvalues_equal_those_of_the_whole_hessian(made) -> None:
    trained = made("mlp", "mlp", width=2, depth=1, norm="none")  # a row for each of its 238 weights
    model = copy.deepcopy(trained.model).double()
    parameters = list(model.parameters())
    gradient = torch.autograd.grad(slow_loss(trained, model), parameters, create_graph=True)
    gradient = torch.cat([part.flatten() for part in gradient])
    rows = [torch.autograd.grad(entry, parameters, retain_graph=True, materialize_grads=True) for entry in gradient]
    hessian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).numpy()
    assert np.allclose(hessian, hessian.T, atol=1e-10)
    expected = np.linalg.eigvalsh(hessian)[::-1][:4]
    result = landscape().evaluate(trained)
    found = [m.value for m in result.measurements if m.chart == "hessian_spectrum"]
    assert [m.x for m in result.measurements if m.chart == "hessian_spectrum"] == [1, 2, 3, 4]
    assert found == pytest.approx(expected.tolist(), rel=1e-4)
    assert result.summary["hessian_top"] == found[0]


@pytest.mark.parametrize(
    ("backbone", "branch", "long_skip"), [("isotropic", "preact", "none"), ("uvit", "transformer", "concat")]
)
def test_products_with_the_hessian_equal_differences_of_gradients(made, backbone, branch, long_skip) -> None:
    trained = made(backbone, branch, long_skip=long_skip, depth=3)
    vector = draw(sum(parameter.numel() for parameter in trained.model.parameters()))

    def gradient(step: float) -> torch.Tensor:
        model = copy.deepcopy(trained.model).double()
        flat = nn.utils.parameters_to_vector(model.parameters()).detach() + step * vector.double()
        nn.utils.vector_to_parameters(flat, model.parameters())
        found = torch.autograd.grad(slow_loss(trained, model), list(model.parameters()))
        return torch.cat([part.flatten() for part in found])

    expected = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    loss = EvalBatchLoss(trained, EvalBatch(num_images=NUM_IMAGES, num_levels=NUM_LEVELS), "train")
    found = loss.times_hessian(vector)
    assert float((found - expected).norm() / expected.norm()) < 1e-4


@pytest.mark.parametrize("shape", [(5, 3), (4, 2, 3, 3), (1, 6, 7)])
def test_each_filter_of_a_direction_has_the_norm_of_the_networks_filter(shape: tuple[int, ...]) -> None:
    weight, drawn = 3 * draw(*shape), draw(*shape, seed=1)
    found = filter_normalized(drawn, weight)
    for own, of_drawn, filter_ in zip(weight, drawn, found, strict=True):
        assert float(filter_.norm()) == pytest.approx(float(own.norm()), rel=1e-6)
        assert torch.allclose(filter_ / filter_.norm(), of_drawn / of_drawn.norm(), atol=1e-6)


def test_biases_and_scales_stay_where_they_are() -> None:
    for shape in ((4,), ()):
        assert not filter_normalized(draw(*shape), draw(*shape, seed=1) + 5).any()


def test_filters_of_zeros_stay_where_they_are() -> None:
    assert not filter_normalized(draw(4, 3), torch.zeros(4, 3)).any()


def test_directions_are_the_same_in_every_arm(made) -> None:
    """But for the norms of the filters: parameters of one path are moved along one random direction."""
    pair = [made("isotropic", "preact", depth=3, connection=name) for name in ("plain", "layerscale")]
    found = []
    for trained in pair:
        flat, parts = landscape().direction(trained, 1), {}
        for path, parameter in trained.model.named_parameters():
            parts[path], flat = flat[: parameter.numel()], flat[parameter.numel() :]
        found.append(parts)
    shared = set(found[0]) & set(found[1])
    assert len(found[1]) > len(shared) > 10
    assert all(torch.equal(found[0][path], found[1][path]) for path in shared)


def test_classifiers_are_measured_by_their_own_loss(made) -> None:
    data = DATA["images"]
    config = small(backbone="isotropic", branch="preact", long_skip="none", objective="cross_entropy", depth=3)
    trained = replace(
        made("isotropic", "preact", depth=3),
        model=network(config, data).eval(),
        objective=CrossEntropy(10, label_smoothing=0.1),
    )
    result = landscape().evaluate(trained)
    images, labels = data.train.first(NUM_IMAGES)
    with torch.no_grad():
        expected = F.cross_entropy(trained.model(images), labels, label_smoothing=0.1)
    center = [m.value for m in result.measurements if m.chart == "landscape_slice" and m.x == 0]
    assert center == pytest.approx([float(expected)], rel=1e-5)
    assert result.details["eval_batch_size"] == NUM_IMAGES
    assert result.summary["hessian_top"] > 0


def test_a_loss_that_overflows_counts_as_the_largest_number(made) -> None:
    trained = made("isotropic", "preact", depth=3, norm="none")
    result = landscape(radius=1e12).evaluate(trained)
    ends = [m.value for m in result.measurements if m.chart == "landscape_slice" and m.x != 0]
    assert ends == pytest.approx([torch.finfo(torch.float32).max] * 2)


def test_the_network_is_left_as_it_was_and_the_result_repeats(made) -> None:
    trained = made("isotropic", "preact", depth=3, norm="batch")
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    first = landscape().evaluate(trained)
    assert first == landscape().evaluate(trained)
    assert all(torch.equal(value, before[name]) for name, value in trained.model.state_dict().items())
    assert all(parameter.grad is None for parameter in trained.model.parameters())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("radius", 0.0),
        ("radius", float("inf")),
        ("num_points", 4),
        ("num_points", 1),
        ("num_directions", 1),
        ("num_eigenvalues", 0),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(SkiplabError, match=rf"evaluator\.landscape\.{name}={value} is invalid; valid: a"):
        landscape(**{name: value})
