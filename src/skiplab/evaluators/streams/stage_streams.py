"""The streams through a network's blocks, recorded from outside."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.blocks.block import Stage
from skiplab.blocks.long_skip import LongSkip
from skiplab.evaluators.eval_batches.eval_batch import outputs
from skiplab.evaluators.results.missing import require_finite
from skiplab.layers import in_order
from skiplab.objectives.denoising import Denoising, Noised
from skiplab.surgery.foreign_join import ForeignJoin

State = list[Tensor]  # the closed stream, then what long skips carry past it
Skip = tuple[int, Tensor]  # how many stages run before a long skip, and what it reads


def stage_streams(objective: Denoising, model: nn.Module, noised: Noised) -> list[list[Tensor]]:
    """For each stage, in order from the network's input: its input and the closed stream after each block.

    In an external network, each join counts as a stage of one block.

    Raises:
        UnmeasurableError: if streams aren't finite numbers.
    """
    return _watched(objective, model, noised)[0]


def stage_states(objective: Denoising, model: nn.Module, levels: Sequence[Noised]) -> list[list[list[State]]]:
    """What the network holds at each noise level, before the first and after each block of each stage, in their order.

    It holds the stream and what long skips carry past it: streams of earlier blocks that a later stage has yet to read.
    What equals the stream, at all levels, isn't named twice. Of an external network, or a long skip that carries
    anything but a stream, the state is the stream alone.

    Raises:
        UnmeasurableError: if streams aren't finite numbers.
    """
    passes = [_watched(objective, model, noised) for noised in levels]
    by_stage = zip(*(streams for streams, _ in passes), strict=True)
    stages = [[[[stream] for stream in place] for place in zip(*of_levels, strict=True)] for of_levels in by_stage]
    for reads in zip(*(skips for _, skips in passes), strict=True):
        (stages_before, *_), skips = zip(*reads, strict=True)
        is_held = False
        for states in itertools.chain.from_iterable(stages[:stages_before]):
            is_stream = all(torch.equal(stream, skip) for (stream, *_), skip in zip(states, skips, strict=True))
            is_held = is_held or is_stream
            if is_held and not is_stream:
                for state, skip in zip(states, skips, strict=True):
                    state.append(skip)
    return stages


class _Passes:
    """What was seen in each pass through a network, in the order of calls."""

    def __init__(self) -> None:
        self.calls: dict[int, list[list[Tensor]]] = {}  # of stages, by the index of their first block
        self.reads: list[list[Skip]] = []

    def joined(self) -> tuple[list[list[Tensor]], list[Skip]]:
        """Copies of the streams of all images, by stage, and of what long skips read: one copy of a stream of both."""

        @functools.cache  # a tensor's hash is its identity
        def whole(*parts: Tensor) -> Tensor:
            return torch.cat(parts)

        streams = [
            [require_finite(whole(*parts), "streams") for parts in zip(*self.calls[index], strict=True)]
            for index in sorted(self.calls)
        ]
        skips = [(read[0][0], whole(*(skip for _, skip in read))) for read in zip(*self.reads, strict=True)]
        return streams, skips

    def begin(self, _: nn.Module, __: tuple[Any, ...]) -> None:
        self.reads.append([])

    def read(self, long_skip: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Before a long skip: what it reads of the encoder."""
        skip = in_order(long_skip, arguments, named)[1]
        stages_before = sum(len(calls) == len(self.reads) for calls in self.calls.values())
        self.reads[-1].append((stages_before, skip))


@torch.no_grad()
def _watched(objective: Denoising, model: nn.Module, noised: Noised) -> tuple[list[list[Tensor]], list[Skip]]:
    """What is seen at a noise level: the streams, by stage, and what long skips read."""
    passes = _Passes()
    with ExitStack() as watching:
        watching.callback(model.register_forward_pre_hook(passes.begin).remove)
        for module in model.modules():
            if isinstance(module, Stage):
                passes.calls[module.blocks[0][0].block_index] = watching.enter_context(_closed_streams(module))
            elif isinstance(module, ForeignJoin):
                passes.calls[module.block_index] = watching.enter_context(_joined_streams(module))
            elif isinstance(module, LongSkip) and module.reads_encoder:
                watching.callback(module.register_forward_pre_hook(passes.read, with_kwargs=True).remove)
        outputs(objective, model, noised)
    return passes.joined()


@contextmanager
def _joined_streams(join: ForeignJoin) -> Iterator[list[list[Tensor]]]:
    """For each pass through a join, the stream before and after it."""
    calls = []

    def watch(_: nn.Module, arguments: tuple[Any, ...], joined: Tensor) -> None:
        calls.append([arguments[0].clone(), joined.clone()])  # the network may write over them

    handle = join.register_forward_hook(watch)
    try:
        yield calls
    finally:
        handle.remove()


@contextmanager
def _closed_streams(stage: Stage) -> Iterator[list[list[Tensor]]]:
    """For each pass through a stage, its input and the closed stream after each block.

    A stage runs by its `forward` or by its `streams`, and no hook sees both; but both iterate over its `memories`.
    """
    walk, calls = stage.memories, []
    joins = [join for block in stage.blocks for join in block]
    ends = {block[-1] for block in stage.blocks}

    def watched(x: Tensor, cond: Tensor | None) -> Iterator[Any]:
        calls.append([x])
        for join, memory in zip(joins, walk(x, cond), strict=True):
            if join in ends:
                calls[-1].append(join.connection.close(memory))
            yield memory

    stage.memories = watched
    try:
        yield calls
    finally:
        del stage.memories
