"""The contract of a connection."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.blocks.connection import Connection
from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.default import Default
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.testing.rules import (
    BATCH,
    POSITIONS,
    check_initialization,
    draw,
    named,
    randomize_zeros,
    reached,
    require,
    shape_of,
)

_WIDTH, _COND_WIDTH, _NUM_JOINS = 6, 4, 3


def check_connection(make: Callable[[JoinSpec], Connection]) -> None:
    """Check the contract of a connection on streams of images, tokens and points.

    It preserves shapes, stays finite, is deterministic in evaluation mode and keeps no state between two passes. `read`
    returns a stream. `close` changes nothing and may be called after any join. The activation after the join is applied
    or refused. Inputs aren't overwritten. Gradients reach every update and every parameter (parameters that start at
    zero are randomized first). Initial weights depend on (seed, path) alone.

    Args:
        make: builds the connection of a specification, such as `lambda spec: Scaled(spec, ...)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    check_initialization(lambda: nn.ModuleList(_chain(make)))
    for kind, positions in POSITIONS.items():
        with named(f"on a stream of {kind}"):
            chain = _chain(make)
            initialize(nn.ModuleList(chain), Default(), seed=0)
            randomize_zeros(chain)
            _check_streams(chain, positions)
            _check_activation(chain[0], positions)


def _chain(make: Callable[[JoinSpec], Connection]) -> list[Connection]:
    """The connections of a network of one stage."""
    chain = []
    for index in range(_NUM_JOINS):
        spec = JoinSpec(width=_WIDTH, index=index, num_joins=_NUM_JOINS, position=index, cond_width=_COND_WIDTH)
        connection = make(spec)
        require(isinstance(connection, Connection), f"{type(connection).__name__} is not a subclass of Connection")
        chain.append(connection)
    return chain


def _walk(chain: Sequence[Connection], x: Tensor, *, close_midway: bool = False) -> tuple[Tensor, list[Tensor], Any]:
    """The closed stream after all joins, the updates, and the last memory."""
    cond = draw("cond", BATCH, _COND_WIDTH)
    memory = chain[0].open(x)
    updates = []
    for index, connection in enumerate(chain):
        seen = connection.read(memory, cond)
        shape = shape_of(seen)
        require(shape == shape_of(x), f"read returns {shape}, not the stream's shape {shape_of(x)}")
        require(bool(seen.isfinite().all()), "read returns values that aren't finite")
        require(seen.requires_grad, "read returns a tensor without a gradient")
        update = torch.tanh(seen * draw(f"branch/{index}", _WIDTH, *[1] * (x.ndim - 2)) + 0.1)
        update.retain_grad()
        original = update.detach().clone()
        memory = connection.write(memory, update, cond, nn.Identity())
        require(torch.equal(update.detach(), original), "write overwrites the update")
        updates.append(update)
        if close_midway:
            connection.close(memory)
    closed = chain[-1].close(memory)
    require(
        shape_of(closed) == shape_of(x),
        f"close returns {shape_of(closed)}, not the stream's shape {shape_of(x)}",
    )
    return closed, updates, memory


def _check_streams(chain: Sequence[Connection], positions: tuple[int, ...]) -> None:
    x = draw("stream", BATCH, _WIDTH, *positions).requires_grad_()
    original = x.detach().clone()
    closed, updates, memory = _walk(chain, x)
    require(torch.equal(x.detach(), original), "the input of open is overwritten")
    require(bool(closed.isfinite().all()), "the closed stream isn't finite")
    again, *_ = _walk(chain, x)
    require(torch.equal(closed, again), "two passes differ: it is random or keeps state in evaluation mode")
    twice = [chain[-1].close(memory) for _ in range(2)]
    require(all(torch.equal(each, closed) for each in twice), "close isn't pure: a second call returns another stream")
    midway, *_ = _walk(chain, x, close_midway=True)
    require(torch.equal(midway, closed), "close isn't pure: a call before the last join changes the later stream")
    (closed * draw("weights", *closed.shape)).sum().backward()
    for index, update in enumerate(updates):
        require(reached(update.grad), f"no gradient reaches the update of join {index}")
    for index, connection in enumerate(chain):
        for name, parameter in connection.named_parameters():
            require(reached(parameter.grad), f"no gradient reaches parameter {name} of join {index}")


@torch.no_grad()
def _check_activation(connection: Connection, positions: tuple[int, ...]) -> None:
    x, update = (draw(name, BATCH, _WIDTH, *positions) for name in ("stream", "update"))
    cond = draw("cond", BATCH, _COND_WIDTH)

    def joined(activation: nn.Module) -> Tensor:
        return connection.close(connection.write(connection.open(x), update, cond, activation))

    try:
        activated = joined(nn.ReLU())
    except SkiplabError:
        return  # a memory of several entries has no single stream to activate
    applied = torch.allclose(activated, joined(nn.Identity()).relu(), atol=1e-6)
    require(applied, "write ignores the activation after the join; apply it, or raise SkiplabError")
