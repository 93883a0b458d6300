"""A network's states after each block hold the long skips that wait there, which are listed by hand."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

import skiplab
from skiplab.blocks.block import Join
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.streams.stage_streams import stage_states, stage_streams
from small_networks import DATA, small
from tiny_trials import network

NETWORKS = {"unet": ("preact", 4), "uvit": ("mlp", 5), "ddpm_unet": ("preact", 8)}

# What waits beside each stream, a stage's input or a block's output, all numbered in the order of the network.
WAITING = {
    # Four stages of one block; the first one's output, 1, is for the last.
    "unet": [[], [], [1], [1], [1], [1], [], []],
    # An early stage of two blocks, a middle block and two late ones; the first late one reads 2, the second 1.
    "uvit": [[], [], [1], [1], [2, 1], [1], [1], [], []],
    # Two stages of one block, one of two in the middle, and four that read the early stages' inputs and outputs.
    "ddpm_unet": [
        *([], [0], [1, 0], [2, 1, 0], [2, 1, 0], [3, 2, 1, 0], [3, 2, 1, 0]),
        *([2, 1, 0], [2, 1, 0], [1, 0], [1, 0], [0], [0], [], []),
    ],
}


@pytest.fixture
def held(trained, monkeypatch):
    """held(backbone, long_skip): by level, the streams, and the states, of all stages, in passes of 4 images."""
    monkeypatch.setattr(f"{EvalBatch.__module__}.inputs_per_call", lambda *_: 4)

    def made(backbone: str, long_skip: str):
        (branch, depth), data = NETWORKS[backbone], DATA["images"]
        config = small(backbone=backbone, branch=branch, depth=depth, long_skip=long_skip)
        model, eval_batch = network(config, data).eval(), EvalBatch(num_images=6, num_levels=2)
        levels = [noised for *_, noised in eval_batch.noised(trained.objective, data.val, "val")]
        stages = stage_states(trained.objective, model, levels)
        by_level = zip(*(place for stage in stages for place in stage), strict=True)
        streams = (stage_streams(trained.objective, model, noised) for noised in levels)
        return [
            ([place for stage in own for place in stage], held) for own, held in zip(streams, by_level, strict=True)
        ]

    return made


@pytest.fixture
def concat() -> type[nn.Module]:
    """The class of long skips that `held` gives a U-Net."""
    config = small(backbone="unet", branch="preact", depth=4, long_skip="concat")
    return type(network(config, DATA["images"]).long_skips[0])


@pytest.mark.parametrize("backbone", WAITING)
def test_long_skips_wait_from_their_block_to_their_reader(held, backbone: str) -> None:
    for streams, states in held(backbone, "concat"):
        for stream, (own, *waiting), numbers in zip(streams, states, WAITING[backbone], strict=True):
            assert torch.equal(own, stream)
            assert len(waiting) == len(numbers)
            assert all(any(torch.equal(each, streams[number]) for each in waiting) for number in numbers)


def test_a_stream_that_waits_is_kept_once(held) -> None:
    """Its memory, and what reading it takes."""
    for _, states in held("unet", "concat"):
        (first, *_), (_, waiting) = states[1], states[2]
        assert waiting is first


@pytest.mark.parametrize("backbone", WAITING)
def test_nothing_waits_where_nothing_reads(held, backbone: str) -> None:
    for streams, states in held(backbone, "none"):
        for stream, (own, *waiting) in zip(streams, states, strict=True):
            assert torch.equal(own, stream)
            assert not waiting


def test_a_skip_that_equals_the_stream_at_one_level_alone_waits_at_all(trained) -> None:
    """Else the states of one place would differ in width from level to level."""
    config = small(backbone="uvit", branch="mlp", depth=5, long_skip="concat", connection="plain")
    model, eval_batch = network(config, DATA["images"]).eval(), EvalBatch(num_images=6, num_levels=2)
    joins = [module for module in model.modules() if isinstance(module, Join)]
    passes = itertools.count()
    joins[2].branch.register_forward_hook(lambda _, inputs, update: inputs[0] if next(passes) == 0 else update)
    levels = [noised for *_, noised in eval_batch.noised(trained.objective, DATA["images"].val, "val")]
    stages = stage_states(trained.objective, model, levels)
    first, second = zip(*(place for stage in stages for place in stage), strict=True)
    assert torch.equal(first[4][0], first[3][0])  # the middle block wrote what it read, which waits for a late block
    assert [len(state) for state in first] == [len(state) for state in second] == [1 + len(n) for n in WAITING["uvit"]]


NAMED = {
    "the skip": lambda call, stream, skip: call(stream, skip=skip),
    "both": lambda call, stream, skip: call(skip=skip, stream=stream),
    "otherwise": lambda call, stream, skip: call(x=stream, encoded=skip),
}


@pytest.mark.parametrize("named", NAMED)
def test_a_skip_may_be_given_by_name(held, monkeypatch, concat, named: str) -> None:
    call, forward = concat.__call__, concat.forward
    if named == "otherwise":
        monkeypatch.setattr(concat, "forward", lambda self, x, encoded: forward(self, x, encoded))
    monkeypatch.setattr(concat, "__call__", lambda self, *given: NAMED[named](partial(call, self), *given))
    for _, states in held("unet", "concat"):
        assert [len(waiting) for _, *waiting in states] == [len(numbers) for numbers in WAITING["unet"]]


def test_a_skip_that_is_no_stream_need_not_be_finite(held, monkeypatch, concat) -> None:
    call, forward = concat.__call__, concat.forward
    monkeypatch.setattr(concat, "__call__", lambda self, x, skip: call(self, x, torch.full_like(skip, torch.inf)))
    monkeypatch.setattr(concat, "forward", lambda self, x, skip: forward(self, x, torch.zeros_like(skip)))
    for streams, states in held("unet", "concat"):
        assert len(states) == len(streams)
        assert all(not waiting for _, *waiting in states)


class External(nn.Module):
    """Two blocks with shortcuts, and a ReLU behind each.

    reuses: nothing; "memory" writes each stream where it wrote that of the pass before, "sum" its ReLU into the sum.
    """

    def __init__(self, *, channels: int, reuses: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.relu = nn.ReLU(inplace=reuses == "sum")
        self.memory: dict[nn.Module, torch.Tensor] | None = {} if reuses == "memory" else None

    def forward(self, x, time, labels=None):
        for conv in self.convs:
            x = self.relu(x + conv(x))
            if self.memory is not None:
                x = self.memory.setdefault(conv, torch.empty_like(x)).copy_(x)
        return x


@pytest.mark.parametrize("reuses", ["memory", "sum"])
@pytest.mark.parametrize("connection", ["identity", "rezero"])
def test_a_network_may_write_over_its_streams(trained, monkeypatch, connection: str, reuses: str) -> None:
    """Later in a pass, in the next batch of a noise level, and at the next level."""
    monkeypatch.setattr(f"{EvalBatch.__module__}.inputs_per_call", lambda *_: 4)
    data, eval_batch = DATA["images"], EvalBatch(num_images=8, num_levels=2)
    levels = [noised for *_, noised in eval_batch.noised(trained.objective, data.val, "val")]
    found = []
    for each in ("nothing", reuses):
        model = External(channels=data.val.shape[0], reuses=each).eval()
        shortcuts = skiplab.find_shortcuts(model, (levels[0].x_t[:4], levels[0].time[:4]))
        stages = stage_states(trained.objective, skiplab.ablate(model, connection, shortcuts), levels)
        found.append([stream for stage in stages for place in stage for (stream,) in place])
    assert len(found[0]) == 2 * 2 * len(levels)
    assert all(torch.equal(expected, own) for expected, own in zip(*found, strict=True))
