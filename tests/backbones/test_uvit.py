"""The U-ViT's long skips, tokens and refusals."""

import pytest
import torch

from skiplab.errors import SkiplabError
from small_networks import DATA, small
from tiny_trials import network

LEVEL = torch.tensor([0.1, 0.9])
X = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def uvit(**choices):
    choices = {"branch": "transformer", "long_skip": "concat", "depth": 5} | choices
    return network(small(backbone="uvit", **choices), DATA["images"]).eval()


@pytest.mark.parametrize(("long_skip", "passes"), [("concat", True), ("add", True), ("none", False)])
def test_only_a_long_skip_passes_the_middle_by(long_skip: str, passes: bool) -> None:
    model = uvit(long_skip=long_skip, connection="plain")
    with torch.no_grad():
        for join in model.middle.joins:
            for parameter in join.branch.last.parameters():
                parameter.zero_()  # a plain middle of zeros passes nothing
        assert torch.equal(model(X, LEVEL), model(2 * X, LEVEL)) != passes


def test_late_blocks_read_their_mirror_images() -> None:
    model, seen = uvit(), []
    for long_skip in model.long_skips:
        long_skip.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[1]))
    streams = []
    model.encoder[0].register_forward_pre_hook(lambda module, arguments: streams.append(arguments))
    taps = []
    original = model.encoder[0].streams
    model.encoder[0].streams = lambda x, cond: taps.extend(original(x, cond)) or list(taps)
    model(X, LEVEL)
    assert len(taps) == len(seen) == 2
    assert all(torch.equal(tap, skip) for tap, skip in zip(reversed(taps), seen, strict=True))


def test_the_noise_level_and_the_label_are_tokens() -> None:
    model, told = uvit(), uvit(conditioning="label")
    assert model.positions.weight.shape == (8, 1 + 16)
    assert told.positions.weight.shape == (8, 2 + 16)
    labels = torch.tensor([3, 4])
    with torch.no_grad():
        assert not torch.allclose(model(X, LEVEL), model(X, LEVEL.flip(0)))
        assert not torch.allclose(told(X, LEVEL, labels), told(X, LEVEL, labels.flip(0)))
        assert torch.equal(told(X, LEVEL, None), told(X, LEVEL, torch.full((2,), 10)))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"depth": 4}, "depth=4 is impossible for backbone=uvit; valid: 1 and every 2 more, nearest 3 and 5"),
        ({"branch": "preact"}, "branch=preact supports images, and the stream of this backbone consists of tokens"),
        ({"objective": "cross_entropy"}, "backbone=uvit can't predict classes; take backbone=resnet or isotropic"),
        ({"connection": "adaln_zero_gate"}, "connection=adaln_zero_gate needs conditioning"),
    ],
)
def test_what_it_does_not_support_is_refused(choices: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        uvit(**choices)
