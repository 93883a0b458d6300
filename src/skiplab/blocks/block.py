"""The only place where a branch meets a connection."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.connection import Connection
from skiplab.blocks.recomputation import recomputed
from skiplab.blocks.specification import BranchSpec, JoinSpec, NetworkSpec
from skiplab.errors import SkiplabError


class Join(nn.Module):
    """One branch and the connection by which its update joins the stream.

    block_index: number of the block that the join belongs to, counted from the network's input.
    """

    block_index: int
    connection: Connection

    def __init__(self, branch: Branch) -> None:
        super().__init__()
        self.branch = branch

    def block_parameters(self) -> list[nn.Parameter]:
        """Those of the branch and of the connection."""
        return list(self.parameters())

    def forward(self, memory: Any, cond: Tensor | None) -> Any:
        update = self.branch(self.connection.read(memory, cond), cond)
        return self.connection.write(memory, update, cond, self.branch.activation_after_join)


class Stage(nn.Module):
    """Blocks of one width and resolution around one memory.

        memory = open(x);  memory = write(memory, branch(read(memory))) for each join;  close(memory)

    Where the width or the resolution changes, the first join is a transition:
    memory = write(open(shortcut(x)), branch(x)).

    Where `recomputes` is true, a training pass keeps the memory at about sqrt(n) of its n joins, and the backward pass
    computes the rest again.

    Shapes: (batch, width_in, *positions) to (batch, width_out, *positions / stride).

    Args:
        spec: the network's specification.
        width_in: channels that the first block reads.
        width_out: channels of the stream.
        num_blocks: blocks, from 1.
        cond_width: features of the conditioning vector, 0 where there is none.
        position_dims: position axes of the stream.
        stride: subsampling of the first block.
        attention: makes the branch of a further join, of attention between positions.
        attended: numbers of the stage's blocks that have that join.
    """

    recomputes = False

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        width_in: int,
        width_out: int,
        num_blocks: int,
        cond_width: int,
        position_dims: int,
        stride: int = 1,
        attention: Callable[[BranchSpec], Branch] | None = None,
        attended: Collection[int] = (),
    ) -> None:
        super().__init__()
        self.width_out, self.cond_width = width_out, cond_width
        inside = BranchSpec(
            width_in=width_out,
            width_out=width_out,
            stride=1,
            position_dims=position_dims,
            cond_width=cond_width,
            norm=spec.norm,
            activation=spec.activation,
        )
        blocks = []
        for index in range(num_blocks):
            branch_spec = replace(inside, width_in=width_in, stride=stride) if index == 0 else inside
            branches = spec.branch(branch_spec).parts()
            if attention is not None and index in attended:
                branches = [*branches, attention(replace(inside, cond_width=0))]
            blocks.append([Join(branch) for branch in branches])
        self.blocks = blocks  # plain lists: the joins below are what is registered
        self.joins = nn.ModuleList(join for block in blocks for join in block)
        changes = width_in != width_out or stride != 1
        self.shortcut = spec.shortcut(width_in, width_out, stride) if changes else None

    def memories(self, x: Float[Tensor, "batch width_in *positions"], cond: Tensor | None) -> Iterator[Any]:
        """The memory after each join."""
        memory = x
        for index in range(len(self.joins)):
            memory = self._pass(memory, cond, index, index + 1)
            yield memory

    def forward(
        self, x: Float[Tensor, "batch width_in *positions"], cond: Tensor | None
    ) -> Float[Tensor, "batch width_out *outputs"]:
        memory = x
        if self._recomputes():
            count = len(self.joins)
            size = math.isqrt(count - 1) + 1
            for start in range(0, count, size):
                memory = self._pass(memory, cond, start, min(start + size, count))
        else:
            for memory in self.memories(x, cond):  # noqa: B007 - only the last one is closed
                pass
        return self.joins[-1].connection.close(memory)

    def streams(self, x: Float[Tensor, "batch width_in *positions"], cond: Tensor | None) -> list[Tensor]:
        """The closed stream after each block, without disturbing the memory."""
        ends = {block[-1] for block in self.blocks}
        closed = zip(self.joins, self.memories(x, cond), strict=True)
        return [join.connection.close(memory) for join, memory in closed if join in ends]

    def _recomputes(self) -> bool:
        return self.recomputes and self.training and torch.is_grad_enabled()

    def _pass(self, memory: Any, cond: Tensor | None, start: int, stop: int) -> Any:
        """The memory after the joins from number `start` to before `stop`; ahead of the first one it is x."""
        if self._recomputes():
            return recomputed(self, self._walk, memory, cond, start, stop)
        return self._walk(memory, cond, start, stop)

    def _walk(self, memory: Any, cond: Tensor | None, start: int, stop: int) -> Any:
        for index in range(start, stop):
            join = self.joins[index]
            if index > 0:
                memory = join(memory, cond)
            elif self.shortcut is None:
                memory = join(join.connection.open(memory), cond)
            else:
                opened = join.connection.open(self.shortcut(memory))
                update = join.branch(memory, cond)
                memory = join.connection.write(opened, update, cond, join.branch.activation_after_join)
        return memory


def recompute_stages(model: nn.Module) -> None:
    """Let every stage compute the activations of its n joins again, in sqrt(n) segments, instead of keeping them.

    Raises:
        SkiplabError: where the network has no stages.
    """
    stages = [module for module in model.modules() if isinstance(module, Stage)]
    if not stages:
        raise SkiplabError(
            "run.activation_checkpointing=true recomputes stages of blocks, and this network has none; take false, and "
            "the network's own checkpointing where it has one"
        )
    for stage in stages:
        stage.recomputes = True


def connect(stages: Sequence[Stage], spec: NetworkSpec) -> None:
    """Give every join of a network its connection.

    Raises:
        SkiplabError: where a shortcut has parameters that no stream passes through.
    """
    num_joins = sum(len(stage.joins) for stage in stages)
    index = block_index = 0
    for stage in stages:
        first = index
        for block in stage.blocks:
            for join in block:
                join.block_index = block_index
                join_spec = JoinSpec(
                    width=stage.width_out,
                    index=index,
                    num_joins=num_joins,
                    position=index - first,
                    cond_width=stage.cond_width,
                )
                join.connection = spec.connection(join_spec)
                index += 1
            block_index += 1
        if stage.shortcut is not None and next(stage.shortcut.parameters(), None) is not None:
            opening = stage.joins[0].connection
            if not opening.keeps_stream():
                raise SkiplabError(
                    f"shortcut={type(stage.shortcut).__name__.lower()} has parameters, and this connection "
                    f"({type(opening).__name__}) passes nothing of the stream, so that they would never be trained; "
                    "use shortcut=zero_pad, in every arm"
                )
