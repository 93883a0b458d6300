"""Curves equal correlations by numpy of gradients taken one input at a time; closed forms for known functions."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import drawn
from pointwise import Pointwise
from torch import nn

from objectives_by_name import denoising
from skiplab.data.dataset import Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.shattered_gradients import ShatteredGradients, autocorrelation
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.seeding import keyed_generator
from small_networks import DATA, small
from tiny_trials import network

SETTINGS = {"num_segments": 3, "num_points": 9, "lag": 0.25, "time": 0.4}
LINES = {"trained": "gradient_autocorrelation", "untrained": "gradient_autocorrelation_untrained"}


@pytest.fixture
def made(trained: Trained):
    """made(model, untrained, ...): networks on random data."""

    def make(model: nn.Module, untrained: nn.Module | None = None, objective=None, points: bool = False) -> Trained:
        data = copy.copy(DATA["points" if points else "images"])
        data.val = Split(data.val.stored, torch.arange(20) % 7)
        untrained = (untrained or model).eval()
        objective = objective or denoising(num_classes=10)
        return replace(
            trained,
            model=model.eval(),
            make_untrained=lambda: untrained,
            objective=objective,
            data=data,
            _samples={},
        )

    return make


def slow_gradients(trained: Trained, model: nn.Module, segment: int) -> np.ndarray:
    """In float64, an input at a time, by the segment's definition."""
    precise, objective, count = copy.deepcopy(model).double(), trained.objective, SETTINGS["num_segments"]
    images = trained.data.val.stored.double()
    label = trained.data.val.labels[2 * segment][None]
    shape = images.shape[1:]
    outputs = (objective.num_logits,) if objective.num_logits else shape
    generator = keyed_generator(0, "shattered_gradients/read_out")
    read_out = torch.randn(count, *outputs, generator=generator)[segment].double()
    noise = torch.randn(count, *shape, generator=keyed_generator(0, "shattered_gradients/noise"))[segment].double()
    found = []
    for point in range(9):
        x = images[2 * segment] + (images[2 * segment + 1] - images[2 * segment]) * point / 8
        if objective.num_logits:
            x = x[None].requires_grad_()
            output = precise(x)
        else:
            time = torch.tensor([0.01 + 0.4 * 0.98])  # of the cosine schedule's 0.01 to 0.99
            alpha, sigma = objective.noise_schedule.alpha_sigma(time)
            x = (float(alpha) * x + float(sigma) * noise)[None].requires_grad_()
            output = precise(x, time.double(), label if objective.num_labels else None)
        (read_out * output[0]).sum().backward()
        found.append(x.grad.flatten().numpy())
    return np.array(found)


def slow_autocorrelation(gradients: np.ndarray) -> list[float]:
    """Pearson's correlation with each vector's negative beside it, so that no mean is taken off."""
    found = []
    for lag in range(len(gradients)):
        pairs = [(gradients[k], gradients[k + lag]) for k in range(len(gradients) - lag)]
        here, there = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
        found.append(np.corrcoef(np.concatenate([here, -here]), np.concatenate([there, -there]))[0, 1])
    return found


@pytest.mark.parametrize(
    ("backbone", "branch", "objective", "conditioning"),
    [
        ("mlp", "mlp", "denoising", "none"),
        ("isotropic", "preact", "denoising", "none"),
        ("isotropic", "preact", "denoising", "label"),
        ("dit", "transformer", "denoising", "none"),
        ("isotropic", "preact", "cross_entropy", "none"),
    ],
)
def test_curves_equal_correlations_of_gradients_taken_one_by_one(
    made, backbone: str, branch: str, objective: str, conditioning: str
) -> None:
    data = DATA["points" if backbone == "mlp" else "images"]
    choices = {"backbone": backbone, "branch": branch, "objective": objective, "conditioning": conditioning}
    config = small(long_skip="none", depth=3, **choices)
    models = []
    for seed in (1, 0):
        config.seed = seed
        models.append(network(config, data).eval())
    asked = denoising(conditioning=conditioning, num_classes=10)
    if objective == "cross_entropy":
        asked = CrossEntropy(10, label_smoothing=0.0)
    trained = made(*models, objective=asked, points=backbone == "mlp")
    result = ShatteredGradients(**SETTINGS).evaluate(trained)
    for (line, metric), model in zip(LINES.items(), models, strict=True):
        segments = [slow_autocorrelation(slow_gradients(trained, model, segment)) for segment in range(3)]
        expected = np.mean(segments, axis=0)
        found = drawn(result, "gradient_autocorrelation_by_lag", line)
        assert found == pytest.approx({lag / 8: expected[lag] for lag in range(5)}, abs=1e-5)
        assert result.summary[metric] == found[0.25]
    assert len(set(result.summary.values())) == 2


def test_autocorrelation_equals_numpys_correlation() -> None:
    gradients = torch.randn(4, 12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.3
    expected = [slow_autocorrelation(segment.numpy()) for segment in gradients]
    assert np.allclose(autocorrelation(gradients).numpy(), expected, rtol=0, atol=1e-12)


def test_gradients_of_a_linear_network_are_alike_everywhere(made) -> None:
    result = ShatteredGradients(**SETTINGS).evaluate(made(Pointwise(lambda x: 3 * x)))
    assert all(m.value == pytest.approx(1.0, abs=1e-12) for m in result.measurements)


def test_gradients_that_turn_along_the_segment_correlate_by_the_cosine() -> None:
    """On a circle <g_k, g_{k+m}> = cos(m step)."""
    angles = 0.2 * torch.arange(20, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)[None]
    assert autocorrelation(circle)[0].tolist() == pytest.approx([math.cos(0.2 * lag) for lag in range(20)])


def test_gradients_like_white_noise_are_alike_nowhere() -> None:
    noise = torch.randn(50, 20, 40, generator=torch.Generator().manual_seed(0))
    curve = autocorrelation(noise)[:, :11].mean(dim=0)
    assert curve[0] == pytest.approx(1.0)
    # of 50 x 10 x 40 products or more, 4.5 standard errors
    assert curve[1:].abs().max() < 4.5 / (50 * 10 * 40) ** 0.5


def test_a_fast_wave_is_shattered_and_a_slow_one_is_not(made) -> None:
    fast, slow = Pointwise(lambda x: torch.sin(1e3 * x)), Pointwise(lambda x: torch.sin(0.1 * x))
    result = ShatteredGradients(**SETTINGS).evaluate(made(fast, slow))
    assert abs(result.summary["gradient_autocorrelation"]) < 0.3
    assert result.summary["gradient_autocorrelation_untrained"] > 0.99


def test_depth_shatters_the_gradients_of_plain_networks_first(made) -> None:
    """Theorems 1 and 2 of the source: correlations fall as 2^-depth without shortcuts, as (3/4)^depth with them."""
    found = {}
    for connection in ("plain", "identity"):
        config = small(backbone="isotropic", branch="preact", long_skip="none", depth=24, connection=connection)
        result = ShatteredGradients(**SETTINGS).evaluate(made(network(config, DATA["images"])))
        found[connection] = result.summary["gradient_autocorrelation_untrained"]
    assert abs(found["plain"]) < 0.2
    assert found["identity"] > found["plain"] + 0.3


def test_no_gradient_counts_as_no_correlation(made) -> None:
    result = ShatteredGradients(**SETTINGS).evaluate(made(Pointwise(lambda x: 0 * x)))
    assert {m.value for m in result.measurements} == {0.0}


def test_the_lag_is_the_nearest_that_the_points_have(made) -> None:
    model = Pointwise(lambda x: torch.sin(2 * x))
    result = ShatteredGradients(**(SETTINGS | {"lag": 0.36})).evaluate(made(model))
    assert result.details["lag"] == 0.375
    curve = drawn(result, "gradient_autocorrelation_by_lag", "trained")
    assert result.summary["gradient_autocorrelation"] == curve[0.375]


def test_refuses_more_segments_than_pairs_of_images(made) -> None:
    trained = made(Pointwise(lambda x: x))
    evaluator = ShatteredGradients(**(SETTINGS | {"num_segments": 11}))
    with pytest.raises(SkiplabError, match=r"num_segments=11 needs two .* have 20; valid: up to 10"):
        evaluator.check(trained.objective, trained.data, "shattered_gradients")
    ShatteredGradients(**(SETTINGS | {"num_segments": 10})).check(trained.objective, trained.data, "shattered")


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_segments", 0), ("num_points", 2), ("lag", 0.0), ("lag", 0.51), ("time", -0.1), ("time", 1.1), ("lag", 0.05)],
)
def test_refuses_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(SkiplabError, match=rf"evaluator\.shattered_gradients\.{name}={value} .*valid"):
        ShatteredGradients(**(SETTINGS | {name: value}))
