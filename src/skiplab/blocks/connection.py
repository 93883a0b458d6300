"""The interface of a connection: how an update joins the stream."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError

Stream = Float[Tensor, "batch channel *positions"]
Memory = Any  # what a connection keeps of the stream: each has its own type


class Connection(nn.Module):
    """Keeps a memory of the stream: opened on an input, read by branches, written to by updates, closed to a tensor.

        memory = open(x);  memory = write(memory, branch(read(memory)));  x = close(memory)

    By default the memory is the stream itself. This suits most connections: they override `join` alone.
    A connection with a larger memory overrides `open`, `read`, `write` and `close`. `close` changes nothing
    and may be called after any join.

    Shapes: stream and update (batch, channel, *positions); cond (batch, cond_width), or None.
    """

    def __init__(self, spec: JoinSpec) -> None:
        super().__init__()
        self.spec = spec

    def open(self, x: Stream) -> Memory:
        return x

    def read(self, memory: Memory, cond: Tensor | None) -> Stream:
        return memory

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        raise NotImplementedError(f"{type(self).__name__} must define join(stream, update, cond)")

    def write(self, memory: Memory, update: Stream, cond: Tensor | None, activation: nn.Module) -> Memory:
        """The memory after an update; `activation` acts on the joined stream (He et al. 2015), or is Identity."""
        return activation(self.join(memory, update, cond))

    def set_progress(self, fraction: float) -> None:
        """Told before each step of training: which fraction of it is over, 0 at the first step and 1 at the last."""

    def refuse_activation(self, activation: nn.Module, *, option: str, keeps: str) -> None:
        """Refuse an activation after the join, for a connection whose memory has several entries.

        Raises:
            SkiplabError: unless the activation is Identity.
        """
        if not isinstance(activation, nn.Identity):
            raise SkiplabError(
                f"connection={option} keeps {keeps}, so an activation after the join has no single stream to act on; "
                "take a branch without such an activation, such as branch=preact"
            )

    def close(self, memory: Memory) -> Stream:
        return memory

    @torch.no_grad()
    def keeps_stream(self) -> bool:
        """Whether anything of the stream remains when the update is zero; false for a plain connection."""
        spec = self.spec
        stream = torch.linspace(1, 2, spec.width)[None]
        cond = torch.zeros(1, spec.cond_width) if spec.cond_width else None
        with torch.random.fork_rng(devices=[]):
            remaining = self.close(self.write(self.open(stream), torch.zeros_like(stream), cond, nn.Identity()))
        return bool(remaining.any())


def set_progress(model: nn.Module, fraction: float) -> None:
    """Tell a model's connections how far training is; those with a schedule, such as `fading`, follow it.

    Trials of skiplab do this by themselves. A loop of your own calls it before each step:

        skiplab.set_progress(model, step / (num_steps - 1))

    Args:
        model: a model with shortcuts replaced by `skiplab.ablate`, or one built from skiplab's blocks.
        fraction: of training that is over, from 0 at the first step to 1 at the last.

    Raises:
        SkiplabError: if the fraction is outside 0 to 1.
    """
    if not 0 <= fraction <= 1:
        raise SkiplabError(f"fraction={fraction} is invalid; valid: a number from 0 to 1")
    for connection in scheduled_connections(model):
        connection.set_progress(fraction)


def scheduled_connections(model: nn.Module) -> list[Connection]:
    """The connections of a model that follow a schedule; most models have none."""
    connections = (module for module in model.modules() if isinstance(module, Connection))
    return [each for each in connections if type(each).set_progress is not Connection.set_progress]
