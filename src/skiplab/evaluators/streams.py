"""What flows through a network's blocks, seen from outside."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.blocks.block import Stage
from skiplab.evaluators.probe import outputs
from skiplab.objectives.denoising import Denoising, Noised


@torch.no_grad()
def stage_streams(objective: Denoising, model: nn.Module, noised: Sequence[Noised]) -> list[list[Tensor]]:
    """For each stage, from the network's input on: its input and the closed stream after each block, of all probes."""
    with ExitStack() as watching:
        stages = [module for module in model.modules() if isinstance(module, Stage)]
        calls = {stage: watching.enter_context(_closed_streams(stage)) for stage in stages}
        for probe in noised:
            outputs(objective, model, probe)
    stages.sort(key=lambda stage: stage.joins[0].block_index)
    return [[torch.cat(parts) for parts in zip(*calls[stage], strict=True)] for stage in stages]


@contextmanager
def _closed_streams(stage: Stage) -> Iterator[list[list[Tensor]]]:
    """For each pass through a stage, its input and the closed stream after each block.

    A stage is passed by its forward or by its streams, which no hook sees both; both walk its memories.
    """
    walk, calls = stage.memories, []
    ends = {block[-1] for block in stage.blocks}

    def watched(x: Tensor, cond: Tensor | None) -> Iterator[Any]:
        calls.append([x])
        for join, memory in zip(stage.joins, walk(x, cond), strict=True):
            if join in ends:
                calls[-1].append(join.connection.close(memory))
            yield memory

    stage.memories = watched
    try:
        yield calls
    finally:
        del stage.memories
