"""Networks of the papers have the papers' numbers of parameters; plain twins have exactly as many as residual ones."""

import pytest
import torch

from skiplab.training.build import backbone_factory
from tiny_trials import compose_config

RESNET = ("backbone=resnet", "branch=basic", "norm=batch", "activation=relu", "long_skip=none", "branch.bias=false")
DDPM = ("backbone=ddpm_unet", "branch=preact", "norm=group", "norm.num_groups=32", "width=128", "depth=22")
DIT = ("backbone=dit", "branch=transformer", "norm=layer", "norm.affine=false", "activation=gelu", "long_skip=none")
UVIT = ("backbone=uvit", "branch=transformer", "norm=layer", "activation=gelu", "long_skip=concat", "width=512")


def count(*overrides: str, shape: tuple[int, ...], num_labels: int = 0, num_logits: int = 0) -> int:
    """Parameters of a network on the meta device, where they have shapes and take no memory."""
    config = compose_config(*overrides).config
    with torch.device("meta"):
        model = backbone_factory(config, shape, num_labels=num_labels, num_logits=num_logits)()
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("layers", "exactly", "millions"),
    [
        (20, 269_722, "0.27"),
        (32, 464_154, "0.46"),
        (44, 658_586, "0.66"),
        (56, 853_018, "0.85"),
        (110, 1_727_962, "1.7"),
        (1202, 19_421_274, "19.4"),
    ],
)
@pytest.mark.parametrize("connection", ["identity", "plain"])
def test_resnet(connection: str, layers: int, exactly: int, millions: str) -> None:
    """He et al. 2015, table 6; exactly: by hand, 3x3 convolutions without bias, batch norms, ten classes."""
    depth, width = (layers - 2) // 2, 16
    found = count(*RESNET, f"connection={connection}", f"depth={depth}", shape=(3, 32, 32), num_logits=10)
    by_hand = 27 * width + 2 * width + 10 * 64 + 10
    for stage in (width, 2 * width, 4 * width):
        by_hand += depth // 3 * (2 * 9 * stage**2 + 4 * stage) - (9 * stage**2 // 2 if stage > width else 0)
    assert found == by_hand == exactly
    assert f"{found / 1e6:.{len(millions.partition('.')[2])}f}" == millions


def test_resnet_with_projections_has_two_more_linear_maps() -> None:
    found = count(*RESNET, "connection=identity", "shortcut=zero_pad", "depth=9", shape=(3, 32, 32), num_logits=10)
    config = compose_config(*RESNET, "connection=identity", "shortcut=projection", "depth=9").config
    model = backbone_factory(config, (3, 32, 32), num_labels=0, num_logits=10)()
    assert sum(p.numel() for p in model.parameters()) == found + (16 * 32 + 32) + (32 * 64 + 64)


def test_ddpm_unet() -> None:
    """Ho et al. 2020, appendix B: 35.7 million; exactly 35,746,307 in diffusers' copy of it."""
    config = compose_config(*DDPM, "connection=identity", "shortcut=projection").config
    model = backbone_factory(config, (3, 32, 32), num_labels=0, num_logits=0)()
    found = sum(parameter.numel() for parameter in model.parameters())
    shortcuts = sum(p.numel() for name, p in model.named_parameters() if ".shortcut." in name)
    assert found == 35_746_307
    assert shortcuts == 1_297_280
    for connection in ("plain", "identity"):
        twin = count(*DDPM, f"connection={connection}", "shortcut=zero_pad", shape=(3, 32, 32))
        assert twin == found - shortcuts


@pytest.mark.parametrize(
    ("depth", "width", "heads", "millions"),
    [(12, 384, 6, 33), (12, 768, 12, 130), (24, 1024, 16, 458), (28, 1152, 16, 675)],
    ids=["S", "B", "L", "XL"],
)
def test_dit(depth: int, width: int, heads: int, millions: int) -> None:
    """Peebles and Xie 2023, table 1 and 4, on latents of 32x32x4 in patches of 2.

    Theirs also predicts a variance: 4 * 4 more outputs of the last map, width * 16 + 16, which rounds away.
    """
    size = (f"depth={depth}", f"width={width}", f"branch.num_heads={heads}")
    shape = (4, 32, 32)
    found = count(*DIT, *size, "connection=adaln_zero_gate", shape=shape, num_labels=1000)
    assert round(found / 1e6) == millions
    gates = depth * 2 * (width**2 + width)
    assert count(*DIT, *size, "connection=identity", shape=shape, num_labels=1000) == found - gates
    assert count(*DIT, *size, "connection=plain", shape=shape, num_labels=1000) == found - gates


def test_uvit() -> None:
    """Bao et al. 2023, table 1: U-ViT-S/2, 13 blocks of 512 channels, 44 million."""
    size = ("depth=13", "branch.num_heads=8", "branch.qkv_bias=false")
    found = count(*UVIT, *size, "connection=identity", shape=(3, 32, 32))
    assert round(found / 1e6) == 44
    assert count(*UVIT, *size, "connection=plain", shape=(3, 32, 32)) == found
