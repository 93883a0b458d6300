"""He's initialisation has variance gain^2 / fan_in and keeps what starts in a way of its own."""

import pytest
import torch
from torch import nn

from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.he import He
from skiplab.blocks.modulation import Modulation
from skiplab.errors import SkiplabError
from skiplab.seeding import keyed_seed


@pytest.mark.parametrize(
    ("module", "fan_in"),
    [
        (nn.Conv2d(32, 64, 3), 288),
        (nn.Linear(128, 256), 128),
        (nn.Conv2d(64, 512, 7, groups=64), 49),
    ],
    ids=["convolution", "linear", "depthwise"],
)
@pytest.mark.parametrize("gain", [1.0, 2**0.5])
def test_variance_is_gain_squared_over_fan_in(module: nn.Module, fan_in: int, gain: float) -> None:
    initialize(module, He(gain=gain), seed=0)
    expected = gain**2 / fan_in
    # n squares of a normal variable average to within 5 sqrt(2 / n) of its variance
    assert module.weight.square().mean().item() == pytest.approx(expected, rel=5 * (2 / module.weight.numel()) ** 0.5)
    assert not module.bias.any()


def test_relu_layers_keep_the_mean_square() -> None:
    layers = [nn.Linear(512, 512) for _ in range(20)]
    initialize(nn.ModuleList(layers), He(gain=2**0.5), seed=0)
    x = torch.randn(64, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for layer in layers:
            x = layer(x).relu()
    # 1 but for the width's fluctuations; with torch's own weights it would be 6^-20
    assert 0.2 < x.square().mean().item() < 5


def test_norms_embeddings_and_modulations_keep_their_own() -> None:
    modules = nn.ModuleDict(
        {"norm": nn.GroupNorm(2, 4), "modulation": Modulation(4, 8, nn.SiLU()), "label": nn.Embedding(3, 4)}
    )
    initialize(modules, He(gain=1.0), seed=0)
    assert modules["norm"].weight.eq(1).all()
    assert not modules["modulation"].weight.any()
    again = nn.Embedding(3, 4)
    torch.manual_seed(keyed_seed(0, "init/label"))
    again.reset_parameters()
    assert torch.equal(modules["label"].weight, again.weight)


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_a_gain_that_is_not_above_zero_is_refused(gain: float) -> None:
    with pytest.raises(SkiplabError, match=rf"init\.gain={gain} is invalid; valid: a number above 0"):
        He(gain=gain)
