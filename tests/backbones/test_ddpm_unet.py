"""DDPM's U-Net gives what diffusers' copy of the authors' network gives, weight for weight."""

import warnings

import pytest
import torch

from skiplab.training.build import backbone_factory
from tiny_trials import compose_config

WIDTHS = (16, 32, 32)
OVERRIDES = (
    "backbone=ddpm_unet",
    "backbone.channel_multipliers=[1,2,2]",
    "width=16",
    "depth=17",
    "norm.num_groups=4",
    "connection=identity",
    "shortcut=projection",
)


@pytest.fixture(scope="module")
def reference():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        from diffusers import UNet2DModel
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=16,
        layers_per_block=2,
        block_out_channels=WIDTHS,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=None,  # one head
        norm_num_groups=4,
        norm_eps=1e-5,
        flip_sin_to_cos=False,
        freq_shift=1,  # as in the authors' code
    ).eval()


def copy(pairs: dict[str, str], own: torch.nn.Module, theirs: torch.nn.Module) -> None:
    for name, other in pairs.items():
        own.get_submodule(name).load_state_dict(theirs.get_submodule(other).state_dict())


def copy_block(join, shortcut, theirs) -> None:
    names = {name: name for name in ("norm1", "conv1", "norm2", "conv2")} | {"cond": "time_emb_proj"}
    copy(names, join.branch, theirs)
    if shortcut is not None:
        shortcut.linear.weight.data = theirs.conv_shortcut.weight.data.flatten(1)
        shortcut.linear.bias.data = theirs.conv_shortcut.bias.data


def copy_attention(join, theirs) -> None:
    copy({"norm": "group_norm", "out": "to_out.0"}, join.branch, theirs)
    parts = [theirs.to_q, theirs.to_k, theirs.to_v]
    join.branch.qkv.weight.data = torch.cat([part.weight.data for part in parts])
    join.branch.qkv.bias.data = torch.cat([part.bias.data for part in parts])


@pytest.fixture(scope="module")
def own(reference):
    model = backbone_factory(compose_config(*OVERRIDES).config, (3, 16, 16), num_labels=0, num_logits=0)().eval()
    stem = {"stem": "conv_in", "head.0": "conv_norm_out", "head.2": "conv_out"}
    embedding = {"embedding.linear1": "time_embedding.linear_1", "embedding.linear2": "time_embedding.linear_2"}
    copy(stem | embedding, model, reference)
    for level, theirs in enumerate(reference.down_blocks):
        stage = model.encoder[level]
        attentions = list(getattr(theirs, "attentions", []))
        for number, block in enumerate(stage.blocks):
            copy_block(block[0], stage.shortcut if number == 0 else None, theirs.resnets[number])
            if attentions:
                copy_attention(block[1], attentions[number])
        if level < 2:
            model.down[level].load_state_dict(theirs.downsamplers[0].conv.state_dict())
    for number, block in enumerate(model.middle.blocks):
        copy_block(block[0], None, reference.mid_block.resnets[number])
    copy_attention(model.middle.blocks[0][1], reference.mid_block.attentions[0])
    stages = iter(model.decoder)
    for level, theirs in enumerate(reference.up_blocks):
        attentions = list(getattr(theirs, "attentions", []))
        for number, resnet in enumerate(theirs.resnets):
            stage = next(stages)
            copy_block(stage.joins[0], stage.shortcut, resnet)
            if attentions:
                copy_attention(stage.joins[1], attentions[number])
        if level < 2:
            model.up[level].conv.load_state_dict(theirs.upsamplers[0].conv.state_dict())
    half = WIDTHS[0] // 2
    model.embedding.sinusoids.frequencies = 10_000.0 ** (-torch.arange(half) / (half - 1))
    return model


def test_has_as_many_parameters(own, reference) -> None:
    assert sum(p.numel() for p in own.parameters()) == sum(p.numel() for p in reference.parameters())


def test_gives_the_same_output(own, reference) -> None:
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    times = torch.tensor([3.0, 700.0])
    with torch.no_grad():
        expected = reference(x, times).sample
        found = own(x, times)
    assert expected.std() > 0.1
    assert torch.allclose(found, expected, atol=1e-5)
