"""At init every activation cancels: networks without norms are linear in their input, others odd and of one form."""

import pytest
import torch
from torch import nn

from skiplab.blocks.block import Join
from skiplab.blocks.stream_activations import layer_without_cancellation
from skiplab.errors import SkiplabError
from small_networks import DATA, home, small
from tiny_trials import network

LEVEL = torch.tensor([0.3], dtype=torch.float64)


def make(init: str = "looks_linear", **choices: str):
    backbone = choices.pop("backbone", "isotropic")
    place = home(backbone)
    rest = {"long_skip": place.long_skip, "depth": place.depth, "objective": place.objective}
    return network(small(init=init, backbone=backbone, **{**rest, **choices}), DATA[place.data]).double().eval()


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def departure_from_linearity(model: nn.Module) -> float:
    """Largest deviation of f(2 x - 3 y) from 2 f(x) - 3 f(y) + 2 f(0), over the largest output."""
    x, y = (draw(seed, *model.spec.shape) for seed in (0, 1))
    f = lambda each: model(each, LEVEL)  # noqa: E731 - the level conditions, and is no input
    expected = 2 * f(x) - 3 * f(y) + 2 * f(torch.zeros_like(x))
    return ((f(2 * x - 3 * y) - expected).abs().max() / expected.abs().max()).item()


LINEAR = [
    {"backbone": backbone, "branch": branch, "connection": connection, "activation": activation}
    for backbone, branch in (
        ("isotropic", "preact"),
        ("isotropic", "activation_only_preact"),
        ("isotropic", "bottleneck"),
        ("isotropic", "convnext"),
        ("isotropic", "mlp"),
        ("unet", "preact"),
        ("unet", "convnext"),
        ("resnet", "preact"),
        ("mlp", "mlp"),
    )
    for connection in ("plain", "identity")
    for activation in ("relu", "silu", "gelu")
    if branch in ("preact", "convnext") or activation == "silu"
]


@pytest.mark.parametrize("choices", LINEAR, ids=lambda choices: "-".join(choices.values()))
def test_networks_without_norms_are_linear_in_their_input(choices: dict[str, str]) -> None:
    assert departure_from_linearity(make(norm="none", **choices)) < 1e-10
    assert departure_from_linearity(make("default", norm="none", **choices)) > 1e-5


@pytest.mark.parametrize("norm", ["group", "layer", "rms", "batch"])
@pytest.mark.parametrize("backbone", ["isotropic", "unet", "resnet"])
@pytest.mark.parametrize("connection", ["plain", "identity"])
def test_networks_with_norms_compute_the_same_without_their_activations(norm, backbone, connection) -> None:
    """z / 2 in an activation's place: linear, and act(z) - act(-z) = z as well."""

    def changed(init: str) -> float:
        model = make(init, norm=norm, backbone=backbone, connection=connection)
        x = draw(0, *model.spec.shape)
        with torch.no_grad():
            before = model(x, LEVEL)
            for path, module in model.named_modules():
                if isinstance(module, nn.SiLU) and not path.startswith("embedding") and ".cond." not in path:
                    module.register_forward_hook(lambda module, args, output: args[0] / 2)
            return ((model(x, LEVEL) - before).abs().max() / before.abs().max()).item()

    assert changed("looks_linear") < 1e-10
    assert changed("default") > 1e-3


@pytest.mark.parametrize("backbone", ["isotropic", "unet"])
def test_streams_are_pairs_and_a_plain_network_keeps_their_length(backbone: str) -> None:
    model = make(norm="none", connection="plain", backbone=backbone)
    seen = {}
    for path, join in [(path, module) for path, module in model.named_modules() if isinstance(module, Join)]:
        join.register_forward_hook(lambda module, args, stream, path=path: seen.setdefault(path, stream))
        join.branch.cond.register_forward_hook(lambda module, args, output: args[0])  # the input alone
    with torch.no_grad():
        model(draw(0, *model.spec.shape), LEVEL)
    for path, stream in seen.items():
        torch.testing.assert_close(stream[:, 0::2], -stream[:, 1::2], msg=path)
        assert stream.any()
    lengths = [stream.norm().item() for path, stream in seen.items() if path.startswith("stage.")]
    assert all(length == pytest.approx(lengths[0], rel=1e-5) for length in lengths)


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"branch": "transformer"}, "attention"),
        ({"backbone": "ddpm_unet", "branch": "preact"}, "attention"),
        ({"branch": "basic"}, "branch=basic"),
        ({"branch": "norm_after_join"}, "branch=norm_after_join"),
        ({"branch": "activation_before_join"}, "branch=activation_before_join"),
        ({"connection": "highway_gate"}, "connection HighwayGate"),
        ({"connection": "conv_shortcut"}, "connection ConvShortcut"),
        ({"backbone": "dit", "branch": "preact"}, "backbone=dit"),
        ({"backbone": "uvit", "branch": "mlp"}, "uvit|head"),
    ],
)
def test_networks_whose_activations_do_not_cancel_are_refused(choices: dict[str, str], named: str) -> None:
    with pytest.raises(SkiplabError, match=rf"init=looks_linear.*({named})"):
        make(**choices)


def deep(depth: int, backbone: str, **choices: str):
    """Four groups of one pair: such norms amplify rounding from layer to layer."""
    config = small(init="looks_linear", backbone=backbone, depth=depth, long_skip="none", **choices)
    if choices["norm"] == "group":
        config.norm.num_groups = 4
    return config


@pytest.mark.parametrize("depth", [pytest.param(128, marks=pytest.mark.slow), 48])
@pytest.mark.parametrize("backbone", ["isotropic", "unet"])
@pytest.mark.parametrize("connection", ["plain", "identity"])
@pytest.mark.parametrize("norm", ["group", "none"])
def test_activations_cancel_at_every_depth(depth: int, backbone: str, connection: str, norm: str) -> None:
    network(deep(depth, backbone, connection=connection, norm=norm), DATA["images"])


@pytest.mark.parametrize("depth", [4, pytest.param(128, marks=pytest.mark.slow), 48])
@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"branch": "basic"}, "take branch=preact"),
        ({"connection": "conv_shortcut"}, "take a connection that only sums"),
    ],
)
def test_activations_that_do_not_cancel_are_refused_at_every_depth(depth: int, wrong: dict, advice: str) -> None:
    with pytest.raises(SkiplabError, match=f"before the layer stage.*{advice}"):
        network(deep(depth, "isotropic", norm="none", **wrong), DATA["images"])


@pytest.mark.parametrize("depth", [4, 48])
def test_one_layer_without_mirrored_columns_is_found_at_every_depth(depth: int) -> None:
    model = network(deep(depth, "isotropic", connection="plain", norm="group"), DATA["images"]).double().eval()
    assert layer_without_cancellation(model) is None
    model.stage.joins[depth - 1].branch.conv1.weight.data[:, 0] *= 1.001
    assert layer_without_cancellation(model) == f"stage.joins.{depth - 1}.branch.conv1"


def test_the_advice_names_nothing_that_is_in_use() -> None:
    with pytest.raises(SkiplabError) as refusal:
        make(branch="basic", activation="silu", norm="none", connection="identity")
    advice = str(refusal.value).partition("; take ")[2]
    assert all(each not in advice for each in ("activation=", "backbone=", "connection", "norm"))


def test_groups_that_part_pairs_are_refused() -> None:
    config = small(init="looks_linear", backbone="isotropic", long_skip="none", norm="group")
    config.width, config.norm.num_groups = 12, 4  # three channels a group
    with pytest.raises(SkiplabError, match="an even number of channels per group"):
        network(config, DATA["images"])


def test_odd_widths_are_refused() -> None:
    config = small(init="looks_linear", backbone="isotropic", long_skip="none", norm="none")
    config.width = 7
    with pytest.raises(SkiplabError, match=r"needs an even number of channels, and .* has 7; take an even width"):
        network(config, DATA["images"])
