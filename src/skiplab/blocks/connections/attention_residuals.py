from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class _Memory(NamedTuple):
    """The input and every update of the stage, and what the next branch reads of them."""

    entries: tuple[Tensor, ...]
    stream: Tensor


class AttentionResiduals(Connection):
    """Attention over depth, x_{l+1} = sum_i a_i v_i, a = softmax_i(w_l^T norm(v_i)), v = x_0, f_0(x_0) ... f_l(x_l).

    At each position by itself. w_l starts at zero: the mean of all entries. It belongs to the join that writes the
    newest entry: it makes what the next branch reads or, at the last join, what leaves the stage. So the first
    branch reads the stage's input, which is what attention over one entry returns.

    Source: Kimi Team 2026, Attention Residuals, arXiv:2603.15031, section 3 (full form: query w_l, keys RMSNorm(v_i),
        values v_i).
    Differs from the source: a memory lives for one stage; the RMS norm has no gain of its own, which w_l would
        absorb. The query is counted with the join before it, which changes no value.

    Args:
        epsilon: added to the mean square in the norm of the keys, above 0.

    Raises:
        SkiplabError: where epsilon isn't above 0.
    """

    def __init__(self, spec: JoinSpec, *, epsilon: float) -> None:
        super().__init__(spec)
        if not epsilon > 0:
            raise SkiplabError(f"connection.epsilon={epsilon} is invalid; valid: a number above 0")
        self.epsilon = epsilon
        self.query = nn.Parameter(torch.empty(spec.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.query)

    def open(self, x: Stream) -> _Memory:
        return _Memory((x,), x)

    def read(self, memory: _Memory, cond: Tensor | None) -> Stream:
        return memory.stream

    def write(self, memory: _Memory, update: Stream, cond: Tensor | None, activation: nn.Module) -> _Memory:
        self.refuse_activation(activation, option="attention_residuals", keeps="every update")
        entries = (*memory.entries, update)
        return _Memory(entries, self.attend(entries))

    def attend(self, entries: tuple[Stream, ...]) -> Stream:
        """The entries' mean under this join's attention."""
        scores = torch.stack([self._score(entry) for entry in entries])
        weights = scores.softmax(dim=0)[:, :, None]
        # One product an entry: a stack of all entries would be kept for the backward pass of every join.
        return sum(weight * entry for weight, entry in zip(weights, entries, strict=True))

    def _score(self, entry: Stream) -> Float[Tensor, " batch *positions"]:
        mean_square = entry.square().mean(dim=1)
        return torch.einsum("c,bc...->b...", self.query, entry) * torch.rsqrt(mean_square + self.epsilon)

    def close(self, memory: _Memory) -> Stream:
        return memory.stream
