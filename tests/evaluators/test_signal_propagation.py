"""Closed forms of rectifier networks, wide random networks, and small ones as they are by default."""

import copy
import inspect
import math
import statistics
from dataclasses import replace

import pytest
import torch
from drawn import drawn
from torch import nn

from objectives_by_name import denoising
from skiplab.data.dataset import Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Result, Trained
from skiplab.evaluators.signal_propagation import SignalPropagation
from skiplab.objectives.cross_entropy import CrossEntropy
from small_networks import DATA, Noise, small
from tiny_trials import network

SETTINGS = {"num_inputs": 2, "num_read_outs": 2, "time": 0.5}
CHARTS = ("signal_variance", "signal_correlation", "signal_gradient")
IMAGES = {"backbone": "isotropic", "branch": "preact", "long_skip": "none"}
POINTS = {"backbone": "mlp", "branch": "layer", "long_skip": "none", "norm": "none", "activation": "relu", "init": "he"}


def made(trained: Trained, model: nn.Module, data: str = "images", objective=None) -> Trained:
    data_set = copy.copy(DATA[data])
    data_set.val = Split(data_set.val.stored, torch.arange(20) % 7)
    model = model.eval()
    objective = objective or denoising(num_classes=10)
    return replace(trained, model=model, make_untrained=lambda: model, objective=objective, data=data_set, _samples={})


def built(*, width: int = 8, seed: int = 0, **choices: str | int) -> nn.Module:
    config = small(**choices)
    config.width, config.seed = width, seed
    return network(config, DATA["points" if choices["backbone"] == "mlp" else "images"])


def curves(result: Result) -> dict[str, list[list[float]]]:
    """Variance, correlation and gradient by block, predicted and measured."""
    return {how: [list(drawn(result, chart, how).values()) for chart in CHARTS] for how in ("predicted", "measured")}


def rectified(correlation: float) -> float:
    """The correlation after a rectifier, which keeps half of the mean square (Cho and Saul 2009)."""
    angle = math.acos(correlation)
    return (math.sin(angle) + (math.pi - angle) * correlation) / math.pi


@pytest.mark.parametrize("connection", ["plain", "identity"])
def test_rectifiers_with_he_weights_follow_the_arccosine_map(trained, connection: str) -> None:
    """Each layer has q' = q s / 2, s the weights' mean square times fan-in: about q; with a shortcut, q + q s / 2."""
    model = built(width=64, depth=6, connection=connection, **POINTS)
    result = SignalPropagation(**SETTINGS).evaluate(made(trained, model, "points"))
    variance, correlation, gradient = curves(result)["predicted"]
    kept = 1.0 if connection == "identity" else 0.0
    factors = [64 * float(join.branch.linear.weight.detach().square().mean()) / 2 for join in model.stage.joins]
    # The two inputs differ in size; a product of their sizes weighs each correlation of the sum.
    for block, factor in enumerate(factors):
        assert variance[block + 1] == pytest.approx(variance[block] * (kept + factor), rel=1e-4)
        both = (kept * correlation[block] + factor * rectified(correlation[block])) / (kept + factor)
        assert correlation[block + 1] == pytest.approx(both, abs=1e-3)
        assert gradient[block] == pytest.approx(gradient[block + 1] * (kept + factor) ** 0.5, rel=1e-4)
    growth = result.summary["predicted_variance_growth"]
    assert growth == pytest.approx(2.0 if connection == "identity" else 1.0, rel=0.03)
    assert result.summary["predicted_gradient_gain"] == pytest.approx(gradient[0] / gradient[-1])


@pytest.mark.parametrize("connection", ["plain", "identity"])
def test_wide_networks_of_points_do_what_is_predicted(trained, connection: str) -> None:
    found = [built(width=256, seed=seed, depth=2, connection=connection, **POINTS) for seed in range(8)]
    agree([made(trained, model, "points") for model in found], within=0.1)


@pytest.mark.parametrize("connection", ["plain", "identity"])
def test_wide_networks_of_points_with_layer_norm_do_what_is_predicted(trained, connection: str) -> None:
    choices = {"norm": "layer", "activation": "gelu", "branch": "mlp", "init": "default", "depth": 2}
    found = [built(width=256, seed=seed, connection=connection, **(POINTS | choices)) for seed in range(3)]
    agree([made(trained, model, "points") for model in found], within=0.1)


@pytest.mark.parametrize(
    ("connection", "norm", "init"),
    [
        ("plain", "group", "default"),
        ("identity", "group", "default"),
        ("conv_shortcut", "group", "default"),
        ("plain", "none", "he"),
        ("identity", "none", "he"),
    ],
)
def test_wide_networks_of_images_do_what_is_predicted(trained, connection: str, norm: str, init: str) -> None:
    choices = IMAGES | {"depth": 2, "connection": connection, "norm": norm, "init": init}
    agree([made(trained, built(width=256, seed=seed, **choices)) for seed in range(2)], within=0.1)


@pytest.mark.parametrize("long_skip", ["none", "concat", "add", "scaled"])
def test_wide_u_nets_do_what_is_predicted_with_any_long_skip(trained, long_skip: str) -> None:
    model = built(width=64, backbone="unet", branch="preact", depth=4, long_skip=long_skip)
    agree([made(trained, model)], within=0.15)


def test_a_classifier_with_batch_norm_does_what_is_predicted(trained) -> None:
    choices = {"backbone": "resnet", "branch": "basic", "norm": "batch", "activation": "relu", "init": "he"}
    model = built(width=64, depth=3, objective="cross_entropy", long_skip="none", **choices)
    objective = CrossEntropy(10, label_smoothing=0.0)
    agree([made(trained, model, objective=objective)], within=0.25, num_inputs=8)


@pytest.mark.parametrize("connection", ["plain", "identity"])
@pytest.mark.parametrize("norm", ["group", "none"])
def test_looks_linear_pairs_are_known_by_their_weights(trained, connection: str, norm: str) -> None:
    choices = IMAGES | {"depth": 3, "connection": connection, "norm": norm, "init": "looks_linear"}
    agree([made(trained, built(width=64, seed=seed, **choices)) for seed in range(2)], within=0.2)


@pytest.mark.parametrize("connection", ["plain", "identity"])
@pytest.mark.parametrize(("norm", "init"), [("group", "default"), ("none", "default"), ("none", "he")])
def test_small_networks_are_predicted_within_a_factor(trained, connection: str, norm: str, init: str) -> None:
    """At width 8, means over six draws: within a factor of 2."""
    choices = IMAGES | {"depth": 3, "connection": connection, "norm": norm, "init": init}
    agree([made(trained, built(seed=seed, **choices)) for seed in range(6)], within=1.0, correlation=0.2)


def agree(networks: list[Trained], *, within: float, correlation: float | None = None, num_inputs: int = 2) -> None:
    """Geometric means of variance and gradient in each block, within this share; means of the correlation, absolute."""
    settings = SETTINGS | {"num_inputs": num_inputs}
    found = [curves(SignalPropagation(**settings).evaluate(trained)) for trained in networks]
    for number, chart in enumerate(CHARTS):
        means = {}
        for how in ("predicted", "measured"):
            blocks = zip(*(each[how][number] for each in found), strict=True)
            mean = statistics.fmean if chart == "signal_correlation" else statistics.geometric_mean
            means[how] = [mean(block) for block in blocks]
        if chart == "signal_correlation":
            tolerance = within if correlation is None else correlation
            assert means["predicted"] == pytest.approx(means["measured"], abs=tolerance)
        else:
            ratios = [p / m for p, m in zip(means["predicted"], means["measured"], strict=True)]
            assert max(ratios) < 1 + within, chart
            assert min(ratios) > 1 / (1 + within), chart


def test_measured_values_equal_their_definitions(trained) -> None:
    model = built(depth=3, connection="identity", **IMAGES)
    given = made(trained, model)
    result = SignalPropagation(**SETTINGS).evaluate(given)
    variance, correlation, gradient = curves(result)["measured"]
    twin, seen = copy.deepcopy(model).double(), []
    for join in twin.stage.joins:
        join.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    twin.stage.register_forward_hook(lambda _, __, output: seen.append(output))
    evaluator = SignalPropagation(**SETTINGS)
    images, labels = given.data.val.first(2)
    time = torch.full((2,), 0.01 + 0.5 * 0.98, dtype=torch.double)
    noised = given.objective.noised(images.double(), evaluator._drawn("noise", images), time, labels)
    given.objective.predict(twin, noised.x_t, noised.time, noised.labels)
    for block, stream in enumerate(seen):
        first, second = stream.flatten(1)
        cosine = nn.functional.cosine_similarity(first, second, dim=0)
        assert variance[block] == pytest.approx(stream.square().mean().item())
        assert correlation[block] == pytest.approx(cosine.item())
        squares = []
        for number in range(2):
            read_out = evaluator._drawn(f"read_out/{number}", stream)
            (own,) = torch.autograd.grad((read_out * seen[-1]).sum(), stream, retain_graph=True)
            squares.append(own.square().sum().item() / 2)
        assert gradient[block] == pytest.approx(statistics.fmean(squares) ** 0.5)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        (IMAGES | {"connection": "highway_gate"}, "connection HighwayGate isn't one"),
        (IMAGES | {"connection": "hyper_connections"}, "connection HyperConnections isn't one"),
        (IMAGES | {"connection": "dense"}, "connection Dense isn't one"),
        ({"backbone": "dit", "branch": "transformer", "long_skip": "none"}, "other layers before its first block"),
    ],
)
def test_what_the_theory_does_not_know_is_measured_alone(trained, choices: dict, reason: str) -> None:
    result = SignalPropagation(**SETTINGS).evaluate(made(trained, built(depth=2, **choices)))
    unpredicted = {name: why for name, why in result.missing.items() if not name.startswith("measured")}
    assert len(unpredicted) == 4
    assert all(why.startswith("not predicted: ") and reason in why for why in unpredicted.values())
    assert {each.line for each in result.measurements} == {"measured"}
    assert result.summary["measured_correlation_last"] <= 1
    several = choices.get("connection") in ("hyper_connections", "dense")
    assert ("measured_gradient_gain" in result.summary) != several
    assert ("keeps more than one stream" in result.missing.get("measured_gradient_gain", "")) == several


def test_a_layer_that_changes_nothing_needs_no_map(trained) -> None:
    """Fixup adds scalars of 0 and multiplies by 1."""
    model = built(depth=3, connection="identity", init="fixup", **(IMAGES | {"norm": "none"}))
    result = SignalPropagation(**SETTINGS).evaluate(made(trained, model))
    assert result.summary["predicted_variance_growth"] == pytest.approx(1.0)
    assert result.summary["predicted_gradient_gain"] == pytest.approx(1.0)


def test_large_images_are_refused(trained) -> None:
    given = made(trained, built(depth=1, **IMAGES))
    with pytest.raises(SkiplabError, match=r"sides \(64, 64\); valid: up to 1024 pixels"):
        SignalPropagation(**SETTINGS).check(given.objective, Noise(3, 64, 64), "signal_propagation")


@pytest.mark.parametrize(("name", "value"), [("num_inputs", 1), ("num_read_outs", 0), ("time", -0.1), ("time", 1.1)])
def test_refuses_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(SkiplabError, match=rf"evaluator\.signal_propagation\.{name}={value} is invalid; valid"):
        SignalPropagation(**(SETTINGS | {name: value}))


def called_by_name(kind: type[nn.Module]):
    """A call of the class's modules that gives each argument by its name, the last one first."""
    call, names = kind.__call__, list(inspect.signature(kind.forward).parameters)[1:]

    def by_name(self, *given):
        return call(self, **dict(reversed(list(zip(names, given, strict=True)))))

    return by_name


@pytest.mark.parametrize("long_skip", ["concat", "add"])
def test_arguments_may_be_given_by_name(trained, monkeypatch, long_skip: str) -> None:
    model = built(backbone="unet", branch="preact", depth=4, long_skip=long_skip)
    expected = curves(SignalPropagation(**SETTINGS).evaluate(made(trained, model)))
    for kind in {type(model.long_skips[0]), type(model.stem)}:
        monkeypatch.setattr(kind, "__call__", called_by_name(kind))
    assert curves(SignalPropagation(**SETTINGS).evaluate(made(trained, model))) == expected
