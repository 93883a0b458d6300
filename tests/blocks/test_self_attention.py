"""Attention equals PyTorch's own, on tokens and on images; conditioning modulates its norm."""

import pytest
import torch
from torch import nn

from skiplab.blocks.self_attention import SelfAttention
from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError


def spec(**changes) -> BranchSpec:
    given = {"width_in": 8, "width_out": 8, "stride": 1, "position_dims": 2, "cond_width": 0} | changes
    return BranchSpec(**given, norm=lambda width: nn.GroupNorm(2, width), activation=nn.SiLU)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(num_heads: int, **changes) -> SelfAttention:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SelfAttention(spec(**changes), num_heads=num_heads, qkv_bias=True)


@pytest.mark.parametrize("num_heads", [1, 2, 8])
@pytest.mark.parametrize("positions", [(5,), (3, 4)])
def test_equals_multihead_attention(num_heads: int, positions: tuple[int, ...]) -> None:
    branch = make(num_heads, position_dims=len(positions))
    reference = nn.MultiheadAttention(8, num_heads, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(branch.qkv.weight)
        reference.in_proj_bias.copy_(branch.qkv.bias)
        reference.out_proj.weight.copy_(branch.out.weight)
        reference.out_proj.bias.copy_(branch.out.bias)
    x = draw(1, 2, 8, *positions)
    tokens = branch.norm(x).flatten(2).transpose(1, 2)
    expected, _ = reference(tokens, tokens, tokens)
    assert torch.allclose(branch(x, None), expected.transpose(1, 2).view(x.shape), atol=1e-6)


def test_conditioning_scales_and_shifts_the_norm() -> None:
    branch, plain = make(2, cond_width=3), make(2)
    with torch.no_grad():
        for name in ("qkv", "out"):
            getattr(plain, name).load_state_dict(getattr(branch, name).state_dict())
    x, cond = draw(1, 2, 8, 3, 3), draw(2, 2, 3)
    assert torch.equal(branch(x, cond), plain(x, None)), "the modulation starts as the identity"
    nn.init.ones_(branch.modulation.bias)  # scale 1 and shift 1: twice the norm, plus one
    plain.norm = nn.Sequential(plain.norm, nn.Module())
    plain.norm[1].forward = lambda normed: 2 * normed + 1
    assert torch.allclose(branch(x, cond), plain(x, None), atol=1e-6)


@pytest.mark.parametrize("num_heads", [0, 3, 16])
def test_heads_that_do_not_divide_the_width_are_refused(num_heads: int) -> None:
    with pytest.raises(SkiplabError, match=rf"{num_heads} attention heads don't divide 8 channels; valid: 1, 2, 4, 8"):
        make(num_heads)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"position_dims": 0}, "works on tokens or images"), ({"stride": 2}, "stride 2"), ({"width_in": 4}, "4 to 8")],
)
def test_what_it_cannot_be_attached_to_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        make(2, **changes)
