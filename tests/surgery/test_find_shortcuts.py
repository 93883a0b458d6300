"""The shortcuts of each network against a list made by hand: none missing, none extra."""

import copy

import pytest
import torch
from foreign_models import (
    LIBRARIES,
    AddUnet,
    Gated,
    Inside,
    Residual,
    Twice,
    by_hand,
    interpolates,
    joins,
    joins_and_scales,
    joins_in_place,
    joins_with_alpha,
    points,
    subtracts,
    tensors,
)
from torch import Tensor, nn

from skiplab import find_shortcuts
from skiplab.errors import SkiplabError

IDENTITY, PROJECTION, CONDITIONING, LONG = "identity", "projection", "conditioning", "long skip"


def unet_resnet(path: str, kind: str) -> list[tuple[str, int, str]]:
    """A residual block of diffusers: the time embedding, then the shortcut."""
    return [(path, 0, CONDITIONING), (path, 1, kind)]


def transformer(path: str) -> list[tuple[str, int, str]]:
    """A transformer of diffusers: self-attention, cross-attention, MLP, and around them."""
    return [*((f"{path}.transformer_blocks.0", call, IDENTITY) for call in range(3)), (path, 0, IDENTITY)]


def dit_block(path: str) -> list[tuple[str, int, str]]:
    """Class and time embeddings are added, then modulate each norm."""
    embedded = [(f"{path}.norm1.emb", 0, CONDITIONING), (f"{path}.norm1", 0, CONDITIONING)]
    return [*embedded, (path, 0, IDENTITY), (path, 1, CONDITIONING), (path, 2, IDENTITY)]


EXPECTED = {
    "unet2d": [
        *unet_resnet("down_blocks.0.resnets.0", IDENTITY),
        *unet_resnet("down_blocks.1.resnets.0", PROJECTION),
        ("down_blocks.1.attentions.0", 0, IDENTITY),
        *unet_resnet("mid_block.resnets.0", IDENTITY),
        ("mid_block.attentions.0", 0, IDENTITY),
        *unet_resnet("mid_block.resnets.1", IDENTITY),
        ("up_blocks.0", 0, LONG),
        *unet_resnet("up_blocks.0.resnets.0", PROJECTION),
        ("up_blocks.0.attentions.0", 0, IDENTITY),
        ("up_blocks.0", 1, LONG),
        *unet_resnet("up_blocks.0.resnets.1", PROJECTION),
        ("up_blocks.0.attentions.1", 0, IDENTITY),
        ("up_blocks.1", 0, LONG),
        *unet_resnet("up_blocks.1.resnets.0", PROJECTION),
        ("up_blocks.1", 1, LONG),
        *unet_resnet("up_blocks.1.resnets.1", PROJECTION),
    ],
    "unet2d_condition": [
        *unet_resnet("down_blocks.0.resnets.0", IDENTITY),
        *transformer("down_blocks.0.attentions.0"),
        *unet_resnet("down_blocks.1.resnets.0", PROJECTION),
        *unet_resnet("mid_block.resnets.0", IDENTITY),
        *transformer("mid_block.attentions.0"),
        *unet_resnet("mid_block.resnets.1", IDENTITY),
        ("up_blocks.0", 0, LONG),
        *unet_resnet("up_blocks.0.resnets.0", PROJECTION),
        ("up_blocks.0", 1, LONG),
        *unet_resnet("up_blocks.0.resnets.1", PROJECTION),
        ("up_blocks.1", 0, LONG),
        *unet_resnet("up_blocks.1.resnets.0", PROJECTION),
        *transformer("up_blocks.1.attentions.0"),
        ("up_blocks.1", 1, LONG),
        *unet_resnet("up_blocks.1.resnets.1", PROJECTION),
        *transformer("up_blocks.1.attentions.1"),
    ],
    "dit": [*dit_block("transformer_blocks.0"), *dit_block("transformer_blocks.1"), ("", 0, CONDITIONING)],
    "vit": [(f"vit.layers.{layer}", call, IDENTITY) for layer in range(2) for call in range(2)],
    "bert": [
        (f"bert.encoder.layer.{layer}.{part}output", 0, IDENTITY) for layer in range(2) for part in ("attention.", "")
    ],
    "gpt2": [(f"transformer.h.{layer}", call, IDENTITY) for layer in range(2) for call in range(2)],
}


def listed(found) -> list[tuple[str, int, str]]:
    return [(each.path, each.call, each.kind) for each in found]


@pytest.mark.parametrize("name", LIBRARIES)
def test_finds_those_of_a_library(name) -> None:
    model, inputs = LIBRARIES[name]()
    assert listed(find_shortcuts(model, inputs)) == EXPECTED[name]


def test_finds_those_of_a_resnet() -> None:
    model, images = by_hand()["resnet"]
    found = find_shortcuts(model, images)
    assert listed(found) == [("blocks.0", 0, IDENTITY), ("blocks.1", 0, PROJECTION), ("blocks.2", 0, IDENTITY)]
    assert [each.shape for each in found] == [(2, 8, 8, 8), (2, 16, 4, 4), (2, 16, 4, 4)]
    assert [each.stage for each in found] == [0, 1, 1]
    assert found[1].branch == ("blocks.1.conv1", "blocks.1.norm", "blocks.1.conv2")
    assert {each.width for each in found.where(stage=1)} == {16}
    assert not any(each.stream_first for each in found)  # out += shortcut


@pytest.mark.parametrize("meet", [joins, joins_in_place, joins_with_alpha, joins_and_scales])
def test_finds_every_spelling_of_an_addition(meet) -> None:
    model, x = points(Residual, meet)
    (found,) = find_shortcuts(model, x)
    assert (found.kind, found.operation, found.branch, found.width) == (IDENTITY, "addition", ("inner", "outer"), 6)
    assert found.stream_first is (meet is not joins_in_place)


@pytest.mark.parametrize(
    ("make", "operation"),
    [
        (lambda width: Residual(width, subtracts), "subtraction"),
        (lambda width: Residual(width, interpolates), "interpolation"),
        (Gated, "interpolation"),
    ],
    ids=["subtraction", "lerp", "gates"],
)
def test_says_of_other_forms_that_they_are_not_handled(make, operation) -> None:
    model, x = points(make)
    found = find_shortcuts(model, x)
    assert [each.operation for each in found] == [operation]
    assert f"{operation}, not replaceable" in str(found)
    with pytest.raises(SkiplabError, match="no addition that a connection can replace"):
        found.replaceable()


def test_tells_a_bridge_from_the_shortcuts_beside_it() -> None:
    found = find_shortcuts(AddUnet(), tensors((2, 1, 8, 8))[0])
    assert listed(found) == [("first", 0, IDENTITY), ("", 0, LONG), ("last", 0, IDENTITY)]
    assert found[1].operation == "addition"
    assert [each.stage for each in found] == [0, -1, 0]


def test_counts_a_block_that_is_passed_twice_once() -> None:
    model, x = points(Twice)
    assert listed(find_shortcuts(model, x)) == [("block", 0, IDENTITY)]


def test_a_sequence_may_have_one() -> None:
    model, x = points(lambda width: Inside(nn.Linear(width, width), nn.Tanh()))
    assert listed(find_shortcuts(model, x)) == [("", 0, IDENTITY)]


class Around(nn.Module):
    """Additions of an input and what is made of it, none of which is a shortcut, and of an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.position = nn.Linear(6, 6), nn.Parameter(torch.zeros(6))
        self.told = nn.Linear(2, 6)

    def forward(self, x, told):
        x = self.layer(x) + self.position
        x = x + 0.04 * x**3  # of no parameters between
        first, second = x.chunk(2, dim=-1)
        x = torch.cat([first + second, second], dim=-1)
        return x + self.told(told)


def test_what_is_none_is_not_found() -> None:
    found = find_shortcuts(Around(), tensors((4, 6), (4, 2)))
    assert listed(found) == [("", 3, CONDITIONING)]


class Unheld(nn.Module):
    """Its block isn't a submodule."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second, self.blocks = (
            nn.Linear(width, width),
            nn.Linear(width, width),
            [Residual(width, joins)],
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks[0](self.first(x) + self.second(x))


class OwnAddition(torch.autograd.Function):
    @staticmethod
    def forward(ctx, stream: Tensor, update: Tensor) -> Tensor:
        return stream + update

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient


@pytest.mark.parametrize("make", [Unheld, lambda width: Residual(width, OwnAddition.apply)], ids=["unheld", "function"])
def test_additions_out_of_reach_are_hidden(make) -> None:
    model, x = points(make)
    (found,) = find_shortcuts(model, x)
    assert (found.path, found.kind, found.operation) == ("", IDENTITY, "hidden addition")


class Stored(nn.Module):
    """Keeps its skips in one tensor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.up = nn.ModuleList(nn.Linear(width, width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        skips = x.new_zeros(3, *x.shape)
        for skip, layer in zip(skips, self.down, strict=True):
            x = layer(x).relu()
            skip.copy_(x)
        for number, layer in zip((1, 0), self.up, strict=True):
            x = layer(x).relu() + skips[number]
        return x


def test_remembers_all_that_was_written_to_one_tensor() -> None:
    model, x = points(Stored)
    assert listed(find_shortcuts(model, x)) == [("", 0, IDENTITY), ("", 1, IDENTITY)]


def test_leaves_the_model_and_the_generators_as_they_were() -> None:
    model, images = by_hand()["resnet"]
    model.train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    find_shortcuts(model, images)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


class Averaging(Residual):
    """Keeps a mean of its inputs, how often it is called, and a table with its length."""

    def __init__(self, width: int, *, exchanges: bool) -> None:
        super().__init__(width, joins)
        self.exchanges, self.length = exchanges, 0
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        if self.exchanges:
            self.mean, self.calls, self.length = (self.mean + x.mean(0)) / 2, self.calls + 1, len(x)
            self.register_buffer("table", x)
        else:
            self.mean.data.add_(x.mean(0)).div_(2)
            self.calls += 1
        return super().forward(x - self.mean)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("exchanges", [False, True])
def test_leaves_buffers_that_the_network_writes_as_they_were(exchanges, training) -> None:
    model, x = points(Averaging, exchanges=exchanges)
    buffers = dict(model.named_buffers())
    assert listed(find_shortcuts(model, x, training=training)) == [("", 1, IDENTITY)]
    assert all(buffer is buffers[name] for name, buffer in model.named_buffers())
    assert not any(buffer.any() for buffer in buffers.values())
    assert model.length == 0
    assert model.training


def test_a_frame_has_a_row_for_each() -> None:
    model, images = by_hand()["resnet"]
    frame = find_shortcuts(model, images).frame()
    assert list(frame["path"]) == ["blocks.0", "blocks.1", "blocks.2"]
    assert list(frame["kind"]) == [IDENTITY, PROJECTION, IDENTITY]


def test_a_model_without_any_says_so() -> None:
    found = find_shortcuts(nn.Linear(6, 6), tensors((4, 6))[0])
    assert len(found) == 0
    assert str(found) == "Linear has no shortcuts"
    with pytest.raises(SkiplabError, match="Linear has no shortcuts"):
        found.where(path="*")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"path": "layers.*"}, r"no shortcut has path='layers\.\*'.*take some of these:.*blocks\.0"),
        ({"stage": 7}, "stage=7"),
        ({"kind": "long skip"}, "kind=long skip"),
        ({"kind": "residual"}, "kind='residual' is invalid; valid: identity, projection, conditioning, long skip"),
    ],
)
def test_a_choice_that_leaves_none_is_refused(asked, message) -> None:
    model, images = by_hand()["resnet"]
    found = find_shortcuts(model, images)
    with pytest.raises(SkiplabError, match=f"(?s){message}"):
        found.where(**asked)
