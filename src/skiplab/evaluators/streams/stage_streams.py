"""The streams through a network's blocks, recorded from outside."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.blocks.block import Stage
from skiplab.evaluators.eval_batches.eval_batch import outputs
from skiplab.evaluators.results.missing import require_finite
from skiplab.objectives.denoising import Denoising, Noised
from skiplab.surgery.foreign_join import ForeignJoin


@torch.no_grad()
def stage_streams(objective: Denoising, model: nn.Module, noised: Sequence[Noised]) -> list[list[Tensor]]:
    """For each stage, in order from the network's input: its input and the closed stream after each block.

    Streams of all noise levels are concatenated. In an external network, each join counts as a stage of one block.

    Raises:
        UnmeasurableError: if streams aren't finite numbers.
    """
    with ExitStack() as watching:
        calls: dict[int, list[list[Tensor]]] = {}  # by the index of the stage's first block
        for module in model.modules():
            if isinstance(module, Stage):
                calls[module.blocks[0][0].block_index] = watching.enter_context(_closed_streams(module))
            elif isinstance(module, ForeignJoin):
                calls[module.block_index] = watching.enter_context(_joined_streams(module))
        for level in noised:
            outputs(objective, model, level)
    return [
        [require_finite(torch.cat(parts), "streams") for parts in zip(*calls[index], strict=True)]
        for index in sorted(calls)
    ]


@contextmanager
def _joined_streams(join: ForeignJoin) -> Iterator[list[list[Tensor]]]:
    """For each pass through a join, the stream before and after it."""
    calls = []

    def watch(_: nn.Module, arguments: tuple[Any, ...], joined: Tensor) -> None:
        calls.append([arguments[0], joined])

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
