"""Every norm computes its equation on images, tokens and points, written out from means."""

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from option_files import options
from skiplab.errors import SkiplabError
from tiny_trials import compose_config

BATCH, WIDTH = 5, 8
POSITIONS = {"images": (3, 4), "tokens": (6,), "points": ()}


def make_norm(option: str, **settings) -> nn.Module:
    return instantiate({**compose_config(f"norm={option}").config.norm, **settings}, WIDTH).double()


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standardised(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred / (centred.square().mean(dims, keepdim=True) + eps).sqrt()


def group(x: Tensor, eps: float) -> Tensor:
    grouped = x.view(BATCH, 2, WIDTH // 2, -1)
    return standardised(grouped, (2, 3), eps).view(x.shape)


def layer(x: Tensor, eps: float) -> Tensor:
    return standardised(x, (1,), eps)


def rms(x: Tensor, eps: float) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + eps).sqrt()


def batch(x: Tensor, eps: float) -> Tensor:
    return standardised(x, (0, *range(2, x.ndim)), eps)


FORMULAS = {"group": (group, {"num_groups": 2}), "layer": (layer, {}), "rms": (rms, {}), "batch": (batch, {})}


def test_no_norm_is_left_out() -> None:
    assert {"none", *FORMULAS} == set(options("norm"))


@pytest.mark.parametrize("positions", POSITIONS.values(), ids=POSITIONS)
@pytest.mark.parametrize("option", FORMULAS)
def test_is_its_equation_with_and_without_the_affine_map(option: str, positions: tuple[int, ...]) -> None:
    formula, settings = FORMULAS[option]
    x = 3 * draw(0, BATCH, WIDTH, *positions) + 1
    expected = formula(x, 0.1)
    bare = make_norm(option, eps=0.1, affine=False, **settings)
    assert not list(bare.parameters())
    torch.testing.assert_close(bare(x), expected, rtol=1e-12, atol=1e-12)
    norm = make_norm(option, eps=0.1, affine=True, **settings)
    maps = dict(norm.named_parameters())
    assert set(maps) == ({"weight"} if option == "rms" else {"weight", "bias"})
    with torch.no_grad():
        for number, parameter in enumerate(maps.values()):
            parameter.copy_(draw(number, WIDTH))
    gain, bias = (maps.get(name, torch.zeros(WIDTH)).view(-1, *[1] * len(positions)) for name in ("weight", "bias"))
    torch.testing.assert_close(norm(x), gain * expected + bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("option", FORMULAS)
def test_reset_makes_the_affine_map_the_identity(option: str) -> None:
    norm = make_norm(option, **FORMULAS[option][1])
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.fill_(7)
    norm.reset_parameters()
    assert norm.weight.eq(1).all()
    assert option == "rms" or norm.bias.eq(0).all()


@pytest.mark.parametrize("positions", POSITIONS.values(), ids=POSITIONS)
def test_batch_takes_running_averages_in_evaluation(positions: tuple[int, ...]) -> None:
    norm = make_norm("batch", eps=0.1, momentum=0.25)
    x = 3 * draw(0, BATCH, WIDTH, *positions) + 1
    norm(x)
    channels = x.transpose(0, 1).flatten(1)
    mean = 0.25 * channels.mean(1)
    variance = 0.75 + 0.25 * channels.var(1, unbiased=True)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    one = draw(1, 1, WIDTH, *positions)  # a batch of one: only evaluation can take a point
    shape = (1, WIDTH, *[1] * len(positions))
    expected = (one - mean.view(shape)) / (variance.view(shape) + 0.1).sqrt()
    torch.testing.assert_close(norm.eval()(one), expected)


@pytest.mark.parametrize(
    ("option", "setting", "value", "valid"),
    [
        ("layer", "eps", 0.0, "a number above 0"),
        ("rms", "eps", -1.0, "a number above 0"),
        ("batch", "eps", 0.0, "a number above 0"),
        ("batch", "momentum", 0.0, "a number above 0, to 1"),
        ("batch", "momentum", 1.5, "a number above 0, to 1"),
        ("group", "num_groups", 3, "1, 2, 4, 8"),
    ],
)
def test_a_setting_out_of_range_is_refused(option: str, setting: str, value: float, valid: str) -> None:
    make = instantiate({**compose_config(f"norm={option}").config.norm, setting: value}, _partial_=True)
    with pytest.raises(SkiplabError, match=rf"norm\.{setting}={value} .*valid: {valid}"):
        make(WIDTH)
