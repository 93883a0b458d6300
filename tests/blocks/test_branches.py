"""Every branch holds its contract and computes its equation, written out with torch.nn.functional."""

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn import functional as F

from option_files import options
from skiplab.blocks.branch import Branch
from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError
from skiplab.testing import check_branch
from tiny_trials import compose_config

COND_WIDTH = 5


@pytest.mark.parametrize("option", options("branch"))
def test_holds_the_contract(option: str) -> None:
    check_branch(instantiate(compose_config(f"branch={option}").config.branch, _partial_=True))


def make_branch(option: str, **settings) -> Branch:
    """From 8 channels to 4 at stride 2, conditioned, every parameter random."""
    node = {**compose_config(f"branch={option}").config.branch, **settings}
    spec = BranchSpec(
        width_in=8,
        width_out=4,
        stride=2,
        position_dims=2,
        cond_width=COND_WIDTH,
        norm=lambda width: nn.GroupNorm(1, width),
        activation=nn.SiLU,
    )
    branch = instantiate(node, spec).double()
    with torch.no_grad():
        for number, parameter in enumerate(branch.parameters()):
            parameter.copy_(draw(number, *parameter.shape))
    return branch


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, COND = draw(101, 2, 8, 6, 6), draw(102, 2, COND_WIDTH)


def normed(x: Tensor, p: dict[str, Tensor], name: str) -> Tensor:
    return F.group_norm(x, 1, p[f"{name}.weight"], p[f"{name}.bias"])


def conv(x: Tensor, p: dict[str, Tensor], name: str, stride: int = 1, groups: int = 1) -> Tensor:
    weight = p[f"{name}.weight"]
    return F.conv2d(x, weight, p[f"{name}.bias"], stride, weight.shape[2] // 2, groups=groups)


def shift(p: dict[str, Tensor]) -> Tensor:
    return F.linear(F.silu(COND), p["cond.weight"], p["cond.bias"])[:, :, None, None]


def basic(p: dict[str, Tensor]) -> Tensor:
    hidden = F.silu(normed(conv(X, p, "conv1", 2), p, "norm1") + shift(p))
    return normed(conv(hidden, p, "conv2"), p, "norm2")


def norm_after_join(p: dict[str, Tensor]) -> Tensor:
    hidden = F.silu(normed(conv(X, p, "conv1", 2), p, "norm1") + shift(p))
    return conv(hidden, p, "conv2")


def activation_before_join(p: dict[str, Tensor]) -> Tensor:
    return F.silu(basic(p))


def activation_only_preact(p: dict[str, Tensor]) -> Tensor:
    hidden = F.silu(normed(conv(F.silu(X), p, "conv1", 2), p, "norm1") + shift(p))
    return normed(conv(hidden, p, "conv2"), p, "norm2")


def preact(p: dict[str, Tensor]) -> Tensor:
    hidden = conv(F.silu(normed(X, p, "norm1")), p, "conv1", 2) + shift(p)
    return conv(F.silu(normed(hidden, p, "norm2")), p, "conv2")


def bottleneck(p: dict[str, Tensor]) -> Tensor:
    hidden = conv(F.silu(normed(X, p, "norm1")), p, "conv1")
    hidden = conv(F.silu(normed(hidden, p, "norm2") + shift(p)), p, "conv2", 2)
    return conv(F.silu(normed(hidden, p, "norm3")), p, "conv3")


def convnext(p: dict[str, Tensor]) -> Tensor:
    modulation = F.linear(F.silu(COND), p["modulation.weight"], p["modulation.bias"])[:, :, None, None]
    hidden = normed(conv(X, p, "conv", 2, groups=8), p, "norm") * (1 + modulation[:, 8:]) + modulation[:, :8]
    hidden = torch.einsum("oc,bchw->bohw", p["linear1.weight"], hidden) + p["linear1.bias"][:, None, None]
    return torch.einsum("oc,bchw->bohw", p["linear2.weight"], F.silu(hidden)) + p["linear2.bias"][:, None, None]


FORMULAS = (
    basic,
    norm_after_join,
    activation_before_join,
    activation_only_preact,
    preact,
    bottleneck,
    convnext,
)
# What stands behind the join, in every arm; nothing for the others.
AFTER_JOIN = {"basic": "act", "norm_after_join": "act(norm)"}


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_the_update_is_its_equations(formula) -> None:
    branch = make_branch(formula.__name__)
    update = branch(X, COND)
    assert update.shape == (2, 4, 3, 3)
    torch.testing.assert_close(update, formula(dict(branch.named_parameters())), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_what_stands_after_the_join_is_the_branchs(formula) -> None:
    branch = make_branch(formula.__name__)
    joined, p = draw(103, 2, 4, 3, 3), dict(branch.named_parameters())
    behind = {
        None: lambda: joined,
        "act": lambda: F.silu(joined),
        "act(norm)": lambda: F.silu(normed(joined, p, "activation_after_join.0")),
    }
    expected = behind[AFTER_JOIN.get(formula.__name__)]()
    torch.testing.assert_close(branch.activation_after_join(joined), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_the_update_is_zero_where_its_last_module_is(formula) -> None:
    branch = make_branch(formula.__name__)
    assert branch(X, COND).all()
    with torch.no_grad():
        for parameter in branch.last.parameters():
            parameter.zero_()
    assert not branch(X, COND).any()


def test_the_bottleneck_has_fewer_channels_inside_rounded_up() -> None:
    inner = [make_branch("bottleneck", reduction=reduction).conv2.weight.shape[:2] for reduction in (1, 2, 3, 4, 9)]
    assert inner == [(4, 4), (2, 2), (2, 2), (1, 1), (1, 1)]


def test_convnext_convolves_each_channel_by_itself() -> None:
    branch = make_branch("convnext")
    assert branch.conv.weight.shape == (8, 1, 7, 7)
    assert branch.linear1.weight.shape == (16, 8)


@pytest.mark.parametrize(
    ("option", "setting", "value", "valid"),
    [
        ("basic", "kernel_size", 2, "odd whole number from 1"),
        ("preact", "kernel_size", 0, "odd whole number from 1"),
        ("convnext", "kernel_size", 4, "odd whole number from 1"),
        ("convnext", "expansion", 0, "whole number from 1"),
        ("bottleneck", "reduction", 0, "whole number from 1"),
        ("bottleneck", "reduction", -4, "whole number from 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(option: str, setting: str, value: float, valid: str) -> None:
    spec = make_branch(option).spec
    node = {**compose_config(f"branch={option}").config.branch, setting: value, "_convert_": "all"}
    make = instantiate(node, _partial_=True)
    with pytest.raises(SkiplabError, match=rf"branch\.{setting}={value} is invalid; valid: an? {valid}"):
        make(spec)
