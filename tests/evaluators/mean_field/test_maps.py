"""Each map equals what layers with drawn weights do to drawn channels, within the noise of the draw."""

import pytest
import torch
from torch import Tensor, nn

from skiplab.backbones.resample import Downsample, Upsample
from skiplab.blocks.long_skips.concat import Concat
from skiplab.blocks.shift import Shift
from skiplab.blocks.shortcuts.zero_pad import ZeroPad
from skiplab.evaluators.mean_field import maps
from skiplab.evaluators.mean_field.norm_map import Norm, norm_map
from skiplab.evaluators.mean_field.signal import Part, Signal, of_tensor

WIDTH = 4096


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def inputs(width: int = 2) -> Tensor:
    """Three images of 4x4 that share a smooth part."""
    return drawn(3, width, 4, 4) + 0.7 * drawn(1, width, 1, 1, seed=1) + 0.3


def channels(signal: Signal) -> Tensor:
    """Normal channels with the moments of a signal of one part."""
    (part,) = signal.parts
    values, vectors = torch.linalg.eigh(part.cov)
    root = vectors * values.clamp(min=0).sqrt()
    rows = part.mean[:, None] + root @ drawn(len(part.cov), WIDTH, seed=2)
    return rows.view(signal.num_inputs, -1, WIDTH).movedim(2, 1).reshape(signal.num_inputs, WIDTH, *signal.sides)


def agree(found: Signal, tensor: Tensor, tolerance: float = 0.06) -> None:
    """The moments, within a share of the largest; a moment of 4,096 channels has a noise of 1/64 of it."""
    expected, moment = of_tensor(tensor).moment(), found.moment()
    assert found.sides == tuple(tensor.shape[2:])
    assert (moment - expected).abs().max() < tolerance * expected.abs().max()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, WIDTH, 3, padding=1),
        nn.Conv2d(2, WIDTH, 3, padding=1, stride=2, bias=False),
        nn.Conv2d(2, WIDTH, 5, padding=2),
        nn.Conv2d(2, WIDTH, 1),
    ],
)
@torch.no_grad()
def test_convolutions_keep_track_of_every_position(layer: nn.Conv2d) -> None:
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(3))
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(4))
    layer, x = layer.double(), inputs()
    agree(maps.linear_map(of_tensor(x), layer), layer(x))


@torch.no_grad()
def test_changes_of_resolution() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        down, up = Downsample(2).double(), Upsample(2, WIDTH).double()
    down.weight = nn.Parameter(drawn(WIDTH, 2, 3, 3, seed=5))
    down.bias = None
    x = inputs()
    agree(maps.linear_map(of_tensor(x), down), down(x))
    agree(maps.linear_map(maps.repeated_map(of_tensor(x), 2), up.conv), up(x))


@torch.no_grad()
def test_conditioning_adds_what_two_inputs_share() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shift = Shift(WIDTH, 6, nn.SiLU()).double()
    x, cond = channels(of_tensor(inputs())), drawn(3, 6, seed=6)
    found = maps.shift_map(of_tensor(x), shift.weight, shift.bias, shift.activation(cond))
    agree(found, shift(x, cond))


@pytest.mark.parametrize(
    ("norm", "tolerance"),
    [
        (nn.GroupNorm(WIDTH // 64, WIDTH), 0.06),
        (nn.LayerNorm(WIDTH), 0.06),
        (nn.RMSNorm(WIDTH), 0.06),
        # two channels a group: what their positions share is lost; the root of the mean is rougher
        (nn.GroupNorm(WIDTH // 2, WIDTH), 0.12),
    ],
)
@torch.no_grad()
def test_norms(norm: Norm, tolerance: float) -> None:
    signal = of_tensor(inputs(16))
    x, norm = channels(signal), norm.double()
    normed = norm(x) if isinstance(norm, nn.GroupNorm) else norm(x.movedim(1, -1)).movedim(-1, 1)
    (part,) = signal.parts
    found = norm_map(Signal(3, (4, 4), (Part(WIDTH, part.cov, part.mean),)), norm)
    agree(found, normed, tolerance)
    assert found.moment().diagonal().mean().item() == pytest.approx(1.0, abs=1e-3)


@torch.no_grad()
def test_batch_norm_takes_all_inputs_together() -> None:
    signal, norm = of_tensor(inputs(16)), nn.BatchNorm2d(WIDTH).double()
    (part,) = signal.parts
    found = norm_map(Signal(3, (4, 4), (Part(WIDTH, part.cov, part.mean),)), norm)
    agree(found, norm(channels(signal)), 0.12)


@torch.no_grad()
def test_parts_of_a_concatenation_are_normalized_by_themselves() -> None:
    x, y = channels(of_tensor(inputs())), 3 * channels(of_tensor(drawn(3, 2, 4, 4, seed=7)))
    small, large = x[:, :64], y[:, :192]
    joined = maps.mixed_map([of_tensor(small), of_tensor(large)], Concat(64, 192).forward)
    assert joined is not None
    assert [part.width for part in joined.parts] == [64, 192]
    agree(joined, torch.cat([small, large], dim=1), 1e-12)
    found = norm_map(joined, nn.GroupNorm(4, 256))
    for part, own in zip(found.parts, (small, large), strict=True):
        assert torch.equal(
            part.cov, norm_map(of_tensor(own), nn.GroupNorm(own.shape[1] // 64, own.shape[1])).parts[0].cov
        )


@torch.no_grad()
def test_a_shortcut_pads_with_channels_of_zeros() -> None:
    x, shortcut = inputs(), ZeroPad(2, 6, 2)
    found = maps.mixed_map([of_tensor(x)], shortcut.forward)
    assert found is not None
    agree(maps.subsampled_map(found, 2), shortcut(x), 1e-12)


def test_a_gate_is_no_sum() -> None:
    signal = of_tensor(inputs())
    assert maps.mixed_map([signal, signal], lambda x, u: torch.sigmoid(x) * u) is None
    assert maps.mixed_map([signal, signal], lambda x, u: x - 2 * u) is not None
