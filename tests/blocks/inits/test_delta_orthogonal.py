"""Plain networks keep variances, and their layers have the gains of the critical point."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skiplab.blocks.kernel_maps import critical_point
from small_networks import DATA, small
from tiny_trials import network


def normal_mean(values) -> float:
    """E[values(z)] by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    return float((values(torch.from_numpy(nodes)) * torch.from_numpy(weights)).sum()) / math.sqrt(2 * math.pi)


def test_rectifiers_have_he_gains_at_any_variance() -> None:
    assert critical_point(F.relu) == pytest.approx((2, 0, 1), abs=1e-9)
    assert critical_point(lambda z: F.leaky_relu(z, 0.5)) == pytest.approx((2 / 1.25, 0, 1), abs=1e-9)


@pytest.mark.parametrize("f", [F.silu, F.gelu], ids=["silu", "gelu"])
def test_smooth_activations_keep_the_variance_to_second_order(f) -> None:
    point = critical_point(f)

    def following(q: float) -> float:
        return point.weight * normal_mean(lambda z: f(math.sqrt(q) * z).square()) + point.bias

    h, q = 1e-2, point.stream
    assert following(q) == pytest.approx(q, rel=1e-6)
    assert (following(q + h) - following(q - h)) / (2 * h) == pytest.approx(1, abs=1e-4)
    tiny = 1e-4
    slope = lambda z: (f(math.sqrt(q) * z + tiny) - f(math.sqrt(q) * z - tiny)) / (2 * tiny)  # noqa: E731
    assert point.weight * normal_mean(lambda z: slope(z).square()) == pytest.approx(1, abs=1e-5)


def test_silu_has_the_published_critical_point() -> None:
    assert critical_point(F.silu) == pytest.approx((1.988, 0.555, 14.32), rel=1e-3)


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "tailored_relu", "tailored_silu"])
def test_a_wide_plain_network_keeps_the_variance_of_its_stream(activation: str) -> None:
    place = {"backbone": "mlp", "branch": "layer", "norm": "none", "connection": "plain", "long_skip": "none"}
    config = small(**place, init="delta_orthogonal", activation=activation, depth=12)
    config.width = 300
    model = network(config, DATA["points"]).eval()
    variances = []
    for join in model.stage.joins:
        join.branch.activation.register_forward_pre_hook(lambda _, args: variances.append(args[0].square().mean()))
    with torch.no_grad():
        model(torch.tensor([[1.0, 1.0]]), torch.tensor([0.5]))
    first, last = variances[0].item(), variances[-1].item()
    stream = critical_point(join.branch.activation).stream
    assert first == pytest.approx(stream, rel=1e-4)
    assert last == pytest.approx(stream, rel=0.3)


def test_layers_are_delta_orthogonal_and_gains_follow_activations() -> None:
    config = small(init="delta_orthogonal", activation="relu", connection="plain", norm="none", long_skip="none")
    model = network(config, DATA["images"])
    first = model.encoder[0].joins[0].branch
    eye = torch.eye(8)
    center = first.conv1.weight[:, :, 1, 1]
    torch.testing.assert_close(center @ center.T, 2 * eye, atol=1e-5, rtol=0)  # after an activation
    assert first.conv1.weight.count_nonzero() == center.count_nonzero()
    down = model.down[0].weight[:, :, 1, 1]
    torch.testing.assert_close(down @ down.T, eye, atol=1e-5, rtol=0)  # after none
    wider = model.encoder[1].joins[0].branch.conv1.weight[:, :, 1, 1]  # 8 to 16 channels after an activation
    torch.testing.assert_close(wider.T @ wider, 4 * eye, atol=1e-5, rtol=0)
    assert not any(module.bias.any() for module in model.modules() if isinstance(module, nn.Conv2d))
    assert not first.cond.weight.any()
    assert not first.cond.bias.any()
