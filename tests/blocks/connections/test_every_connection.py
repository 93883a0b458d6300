"""Every connection in a stage: one join or three, of one width or of two; and each refuses what it can't be."""

import pytest
import torch
from hydra.utils import instantiate

from option_files import options
from skiplab.blocks.block import Stage, connect
from skiplab.blocks.branches.preact import Preact
from skiplab.blocks.long_skips.concat import Concat
from skiplab.blocks.shortcuts.zero_pad import ZeroPad
from skiplab.blocks.specification import JoinSpec, NetworkSpec
from skiplab.errors import SkiplabError
from tiny_trials import compose_config

COND_WIDTH, WIDTH = 5, 6


def make_stage(option: str, num_joins: int, width_in: int, **settings) -> Stage:
    node = {**compose_config(f"connection={option}").config.connection, **settings}
    spec = NetworkSpec(
        depth=num_joins,
        width=WIDTH,
        shape=(1, 3, 3),
        num_labels=0,
        num_logits=0,
        connection=instantiate(node, _partial_=True),
        branch=lambda spec: Preact(spec, kernel_size=1, bias=True),
        shortcut=ZeroPad,
        norm=lambda width: torch.nn.GroupNorm(1, width),
        activation=torch.nn.SiLU,
        long_skip=Concat,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        settings = {"width_in": width_in, "width_out": WIDTH, "cond_width": COND_WIDTH, "position_dims": 2}
        stage = Stage(spec, num_blocks=num_joins, **settings)
        connect([stage], spec)
    return stage.double().eval()


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomise_zeros(stage: Stage) -> None:
    with torch.no_grad():
        for number, parameter in enumerate(stage.parameters()):
            if not parameter.all():
                parameter.copy_(draw(number, *parameter.shape))


@pytest.mark.parametrize("width_in", [WIDTH, 4, 8])
@pytest.mark.parametrize("num_joins", [1, 3])
@pytest.mark.parametrize("option", options("connection"))
def test_every_parameter_of_a_stage_gets_a_gradient(option: str, num_joins: int, width_in: int) -> None:
    stage = make_stage(option, num_joins, width_in)
    randomise_zeros(stage)
    x, cond = draw(1, 2, width_in, 3, 3).requires_grad_(), draw(2, 2, COND_WIDTH)
    output = stage(x, cond)
    assert output.shape == (2, WIDTH, 3, 3)
    assert output.isfinite().all()
    (output * draw(3, *output.shape)).sum().backward()
    assert x.grad.abs().max() > 1e-9
    for name, parameter in stage.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part"
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-9, f"{name} gets no gradient"


@pytest.mark.parametrize("num_joins", [1, 3])
@pytest.mark.parametrize("option", options("connection"))
def test_closing_midway_changes_nothing(option: str, num_joins: int) -> None:
    stage = make_stage(option, num_joins, WIDTH)
    randomise_zeros(stage)
    x, cond = draw(1, 2, WIDTH, 3, 3), draw(2, 2, COND_WIDTH)
    with torch.no_grad():
        streams = stage.streams(x, cond)
        assert len(streams) == num_joins
        assert torch.equal(streams[-1], stage(x, cond))


@pytest.mark.parametrize(
    "option",
    [
        "layerscale",
        "rezero",
        "decayed_identity",
        "fading",
        "dropout_shortcut",
        "stochastic_depth",
        "adaln_zero_gate",
        "hyper_connections",
        "hyper_connections_dynamic",
        "manifold_hyper_connections",
    ],
)
@pytest.mark.parametrize("width_in", [WIDTH, 4])
def test_equals_identity_where_it_should(option: str, width_in: int) -> None:
    """At their initial values or, where the name says otherwise, at the setting that makes them the identity."""
    settings = {
        "layerscale": {"initial_scale": 1.0},
        "rezero": {"initial_alpha": 1.0},
        "decayed_identity": {"alpha_min": 1.0},
        "stochastic_depth": {"last_survival": 1.0},
    }
    stage, identity = make_stage(option, 5, width_in, **settings.get(option, {})), make_stage("identity", 5, width_in)
    identity_weights = identity.state_dict()
    stage.load_state_dict(identity_weights, strict=False)
    if option == "adaln_zero_gate":
        for join in stage.joins:
            torch.nn.init.ones_(join.connection.bias)
    x, cond = draw(1, 2, width_in, 3, 3), draw(2, 2, COND_WIDTH)
    with torch.no_grad():
        expected = identity(x, cond)
        assert (stage(x, cond) - expected).abs().max() < 1e-6
        plain = make_stage("plain", 5, width_in)
        plain.load_state_dict(identity_weights)
        assert (plain(x, cond) - expected).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("option", "key", "value", "valid"),
    [
        ("decayed_identity", "alpha_min", -0.1, "0 to 1"),
        ("decayed_identity", "alpha_min", 1.5, "0 to 1"),
        ("fading", "start", 0.5, "start below the end"),
        ("fading", "end", 1.5, "numbers from 0 to 1"),
        ("dropout_shortcut", "ratio", 1.0, "0 to below 1"),
        ("dropout_shortcut", "ratio", -0.5, "0 to below 1"),
        ("stochastic_depth", "last_survival", 0.0, "above 0, to 1"),
        ("stochastic_depth", "last_survival", 1.1, "above 0, to 1"),
        ("mp_sum", "update_weight", 0.0, "above 0, to 1"),
        ("mp_sum", "update_weight", 2.0, "above 0, to 1"),
        ("deep_delta", "initial_beta", 2.0, "above 0, below 2"),
        ("deep_delta", "value_range", 0.0, "above 0"),
        ("deep_delta", "epsilon", 0.0, "above 0"),
        ("attention_residuals", "epsilon", -1.0, "above 0"),
        ("hyper_connections", "num_streams", 0, "a whole number from 1"),
        ("hyper_connections", "num_streams", 2.5, "a whole number from 1"),
        ("hyper_connections_dynamic", "initial_scale", 0, "any other number"),
        ("manifold_hyper_connections", "num_streams", 1, "a whole number from 2"),
        ("manifold_hyper_connections", "num_iterations", 0, "a whole number from 1"),
        ("manifold_hyper_connections", "initial_scale", 0, "any other number"),
        ("manifold_hyper_connections", "initial_focus", 0.25, "above 0.25, below 1"),
        ("manifold_hyper_connections", "initial_focus", 1.0, "above 0.25, below 1"),
    ],
)
def test_invalid_values_are_refused_by_key_and_range(option: str, key: str, value: float, valid: str) -> None:
    node = {**compose_config(f"connection={option}").config.connection, key: value}
    spec = JoinSpec(width=2, index=0, num_joins=1, position=0, cond_width=0)
    with pytest.raises(SkiplabError) as refusal:
        instantiate(node, _partial_=True)(spec)
    assert f"connection.{key}={value} is invalid" in str(refusal.value)
    assert valid in str(refusal.value)


@pytest.mark.parametrize(
    "option",
    [
        "dense",
        "attention_residuals",
        "hyper_connections",
        "hyper_connections_dynamic",
        "manifold_hyper_connections",
    ],
)
def test_memories_of_several_entries_refuse_an_activation_after_the_join(option: str) -> None:
    stage = make_stage(option, 1, WIDTH)
    stage.joins[0].branch.activation_after_join = torch.nn.ReLU()
    with pytest.raises(SkiplabError, match=rf"connection={option} keeps .* take a branch"):
        stage(draw(1, 2, WIDTH, 3, 3), draw(2, 2, COND_WIDTH))
