"""The DiT's patches, positions and starting point; as a classifier it is a Vision Transformer."""

import pytest
import torch

from skiplab.backbones.patches import Patchify, Unpatchify, grid, sinusoidal_positions
from skiplab.errors import SkiplabError
from small_networks import DATA, Noise, small
from tiny_trials import network

LEVEL = torch.tensor([0.1, 0.9])
X = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def dit(connection: str = "adaln_zero_gate", **choices):
    config = small(backbone="dit", branch="transformer", connection=connection, long_skip="none", **choices)
    return network(config, DATA["images"]).eval()


def test_a_patch_goes_to_its_own_pixels() -> None:
    patchify, unpatchify = Patchify(1, 4, 2), Unpatchify(4, 1, 2)
    with torch.no_grad():
        patchify.weight.copy_(torch.eye(4).view(4, 1, 2, 2))
        unpatchify.conv.weight.copy_(torch.eye(4)[:, :, None, None])
        patchify.bias.zero_()
        unpatchify.conv.bias.zero_()
    assert torch.equal(unpatchify(patchify(X)), X)


def test_every_position_has_a_code_of_its_own() -> None:
    codes = sinusoidal_positions(16, 4, 4)
    assert codes.shape == (16, 4, 4)
    assert torch.equal(codes[:4, 2, 0], torch.sin(2 * 10_000.0 ** (-torch.arange(4) / 4)))
    assert torch.equal(codes[8:12, 0, 3], torch.sin(3 * 10_000.0 ** (-torch.arange(4) / 4)))
    distances = torch.cdist(codes.flatten(1).T, codes.flatten(1).T) + 9 * torch.eye(16)
    assert distances.min() > 0.5


@pytest.mark.parametrize(("connection", "ignored"), [("adaln_zero_gate", True), ("identity", False)])
def test_behind_closed_gates_blocks_change_nothing(connection: str, ignored: bool) -> None:
    model = dit(connection)
    with torch.no_grad():
        before = model(X, LEVEL)
        for join in model.stage.joins:
            for parameter in join.branch.parameters():
                parameter.mul_(-2)
        assert torch.equal(model(X, LEVEL), before) == ignored


def test_the_noise_level_and_the_label_are_heard_once_gates_are_open() -> None:
    model = dit(conditioning="label")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    labels = torch.tensor([3, 4])
    told = model(X, LEVEL, labels)
    assert not torch.allclose(told, model(X, LEVEL.flip(0), labels))
    assert not torch.allclose(told, model(X, LEVEL, labels.flip(0)))
    unknown = torch.full((2,), 10)
    assert torch.equal(model(X, LEVEL, None), model(X, LEVEL, unknown))


def test_classifies_from_the_mean_of_all_patches() -> None:
    model = dit("identity", objective="cross_entropy")
    assert model(X).shape == (2, 10)
    with pytest.raises(SkiplabError, match="connection=adaln_zero_gate needs conditioning"):
        dit("adaln_zero_gate", objective="cross_entropy")


@pytest.mark.parametrize("patch_size", [0, 3, 16])
def test_patches_that_do_not_fit_are_refused(patch_size: int) -> None:
    with pytest.raises(SkiplabError, match=rf"patch_size={patch_size} doesn't divide .*; valid: 1, 2, 4, 8"):
        grid((8, 8), patch_size)
    assert grid((8, 12), 4) == (2, 3)


def test_images_need_not_be_square() -> None:
    config = small(backbone="dit", branch="preact", long_skip="none")
    x = torch.zeros(2, 3, 4, 6)
    assert network(config, Noise(3, 4, 6))(x, LEVEL).shape == x.shape
