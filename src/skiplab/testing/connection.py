"""The contract of a connection."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.blocks.connection import Connection
from skiplab.blocks.inits.default import Default
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.seeding import initialise
from skiplab.testing.rules import (
    BATCH,
    POSITIONS,
    check_initialisation,
    draw,
    named,
    randomise_zeros,
    reached,
    require,
    shape_of,
)

_WIDTH, _COND_WIDTH, _NUM_JOINS = 6, 4, 3


def check_connection(make: Callable[[JoinSpec], Connection]) -> None:
    """Hold a connection to its contract on streams of images, tokens and points.

    It keeps shapes, stays finite, is deterministic in evaluation mode and keeps nothing between two passes;
    `read` gives a stream; `close` is pure and may be called midway; the activation after the join is applied
    or refused; inputs aren't overwritten; gradients reach every update and every parameter (parameters that
    start at zero are randomised first); its initial weights depend on (seed, path) alone.

    Args:
        make: builds the connection of a specification, such as `lambda spec: Scaled(spec, ...)`.

    Raises:
        AssertionError: with a sentence that says which rule is broken.
    """
    check_initialisation(lambda: nn.ModuleList(_chain(make)))
    for kind, positions in POSITIONS.items():
        with named(f"on a stream of {kind}"):
            chain = _chain(make)
            initialise(nn.ModuleList(chain), Default(), seed=0)
            randomise_zeros(chain)
            _check_streams(chain, positions)
            _check_activation(chain[0], positions)


def _chain(make: Callable[[JoinSpec], Connection]) -> list[Connection]:
    """The connections of one stage that is the whole network."""
    chain = []
    for index in range(_NUM_JOINS):
        spec = JoinSpec(width=_WIDTH, index=index, num_joins=_NUM_JOINS, position=index, cond_width=_COND_WIDTH)
        connection = make(spec)
        require(isinstance(connection, Connection), f"{type(connection).__name__} is no subclass of Connection")
        chain.append(connection)
    return chain


def _walk(chain: Sequence[Connection], x: Tensor, *, close_midway: bool = False) -> tuple[Tensor, list[Tensor], Any]:
    """The closed stream behind all joins, the updates written, the last memory."""
    cond = draw("cond", BATCH, _COND_WIDTH)
    memory = chain[0].open(x)
    updates = []
    for index, connection in enumerate(chain):
        seen = connection.read(memory, cond)
        shape = shape_of(seen)
        require(shape == shape_of(x), f"read gives {shape}; a branch must see the stream's shape, {shape_of(x)}")
        require(bool(seen.isfinite().all()), "what a branch reads isn't finite")
        require(seen.requires_grad, "read cuts the gradient off")
        update = torch.tanh(seen * draw(f"branch/{index}", _WIDTH, *[1] * (x.ndim - 2)) + 0.1)
        update.retain_grad()
        kept = update.detach().clone()
        memory = connection.write(memory, update, cond, nn.Identity())
        require(torch.equal(update.detach(), kept), "write overwrites the update")
        updates.append(update)
        if close_midway:
            connection.close(memory)
    closed = chain[-1].close(memory)
    require(
        shape_of(closed) == shape_of(x),
        f"close gives {shape_of(closed)}; it must keep the stream's shape, {shape_of(x)}",
    )
    return closed, updates, memory


def _check_streams(chain: Sequence[Connection], positions: tuple[int, ...]) -> None:
    x = draw("stream", BATCH, _WIDTH, *positions).requires_grad_()
    kept = x.detach().clone()
    closed, updates, memory = _walk(chain, x)
    require(torch.equal(x.detach(), kept), "the stream that it was opened on is overwritten")
    require(bool(closed.isfinite().all()), "the closed stream isn't finite")
    again, *_ = _walk(chain, x)
    require(torch.equal(closed, again), "two passes differ: it is random, or keeps state, in evaluation mode")
    twice = [chain[-1].close(memory) for _ in range(2)]
    require(all(torch.equal(each, closed) for each in twice), "close isn't pure: closing again gives another stream")
    midway, *_ = _walk(chain, x, close_midway=True)
    require(torch.equal(midway, closed), "close isn't pure: called midway it alters the later stream")
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
        return  # a memory of several entries has no one stream to activate, and says so
    applied = torch.allclose(activated, joined(nn.Identity()).relu(), atol=1e-6)
    require(applied, "write leaves the activation after the join out; apply it, or raise SkiplabError")
