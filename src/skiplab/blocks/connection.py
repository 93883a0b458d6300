"""The interface of a connection: how an update joins the stream."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError

Stream = Float[Tensor, "batch channel *positions"]


class Connection(nn.Module):
    """A memory of the stream, opened on an input, read by branches, written to by updates, closed to a tensor.

        memory = open(x);  memory = write(memory, branch(read(memory)));  x = close(memory)

    Here the memory is the stream itself, which is what most connections want: they override `join` alone.
    A connection with a richer memory overrides `open`, `read`, `write` and `close`. `close` is pure and may
    be called midway.

    Shapes: stream and update (batch, channel, *positions); cond (batch, cond_width), or None.
    """

    def __init__(self, spec: JoinSpec) -> None:
        super().__init__()
        self.spec = spec

    def open(self, x: Stream) -> Any:
        return x

    def read(self, memory: Any, cond: Tensor | None) -> Stream:
        return memory

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        raise NotImplementedError(f"{type(self).__name__} must define join(stream, update, cond)")

    def write(self, memory: Any, update: Tensor, cond: Tensor | None, activation: nn.Module) -> Any:
        """The memory after an update; `activation` stands after the join (He et al. 2015), or is Identity."""
        return activation(self.join(memory, update, cond))

    def refuse_activation(self, activation: nn.Module, *, option: str, keeps: str) -> None:
        """For `write` of a memory with several entries: an activation after the join has no one stream to act on.

        Raises:
            SkiplabError: unless the activation is Identity.
        """
        if not isinstance(activation, nn.Identity):
            raise SkiplabError(
                f"connection={option} keeps {keeps}, so an activation after the join has no one stream "
                "to act on; take a branch without one, such as branch=preact"
            )

    def close(self, memory: Any) -> Stream:
        return memory

    @torch.no_grad()
    def keeps_stream(self) -> bool:
        """Whether anything of the stream passes where the update is zero; a plain connection keeps nothing."""
        spec = self.spec
        stream = torch.linspace(1, 2, spec.width)[None]
        cond = torch.zeros(1, spec.cond_width) if spec.cond_width else None
        with torch.random.fork_rng(devices=[]):
            kept = self.close(self.write(self.open(stream), torch.zeros_like(stream), cond, nn.Identity()))
        return bool(kept.any())
