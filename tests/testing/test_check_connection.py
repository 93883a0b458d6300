"""The check of a connection fails on what is broken in one way, with a sentence that says how."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from skiplab.blocks.connection import Connection
from skiplab.blocks.connections.identity import Identity
from skiplab.errors import SkiplabError
from skiplab.testing import check_connection


class ReadsTooMuch(Identity):
    def read(self, memory, cond):
        return torch.cat([memory, memory], dim=1)


class ClosesToOneChannel(Identity):
    def close(self, memory):
        return memory[:, :1]


class Infinite(Identity):
    def join(self, stream, update, cond):
        return stream + update / 0.0


class Counting(Identity):
    """Keeps state between two passes."""

    num_calls = 0

    def join(self, stream, update, cond):
        self.num_calls += 1
        return stream + update * self.num_calls


class AlwaysRandom(Identity):
    def join(self, stream, update, cond):
        return stream + nn.functional.dropout(update, 0.5, training=True)


class ImpureClose(Connection):
    """Keeps a list of streams, which close empties."""

    def open(self, x):
        return [x]

    def read(self, memory, cond):
        return sum(memory)

    def write(self, memory, update, cond, activation):
        if not isinstance(activation, nn.Identity):
            raise SkiplabError("needs a branch without activation after the join")
        return [*memory, update]

    def close(self, memory):
        total = sum(memory)
        memory[:] = memory[-1:]
        return total


class Overwriting(Identity):
    def open(self, x):
        return x.detach().clone().requires_grad_()

    def join(self, stream, update, cond):
        with torch.no_grad():
            update.mul_(2)
        return stream + update


class OverwritingItsInput(Identity):
    def open(self, x):
        with torch.no_grad():
            x.add_(1)
        return x


class Detached(Identity):
    def join(self, stream, update, cond):
        return stream + update.detach()


class DetachedRead(Identity):
    def read(self, memory, cond):
        return memory.detach()


class UnusedParameter(Identity):
    def __init__(self, spec):
        super().__init__(spec)
        self.gain = nn.Parameter(torch.zeros(()))
        self.forgotten = nn.Parameter(torch.zeros(()))

    def reset_parameters(self):
        nn.init.zeros_(self.gain)
        nn.init.zeros_(self.forgotten)

    def join(self, stream, update, cond):
        return stream + self.gain * update


class NoReset(Identity):
    def __init__(self, spec):
        super().__init__(spec)
        self.gain = nn.Parameter(torch.ones(()))

    def join(self, stream, update, cond):
        return stream + self.gain * update


class DrawnInTheConstructor(NoReset):
    def __init__(self, spec):
        super().__init__(spec)
        self.register_buffer("queries", torch.randn(spec.width))

    def reset_parameters(self):
        nn.init.ones_(self.gain)


class ImagesOnly(Identity):
    def __init__(self, spec):
        super().__init__(spec)
        self.gain = nn.Parameter(torch.ones(spec.width))

    def reset_parameters(self):
        nn.init.ones_(self.gain)

    def join(self, stream, update, cond):
        return stream + self.gain[:, None, None] * update


class WithoutActivation(Identity):
    def write(self, memory, update, cond, activation):
        return memory + update


class NoConnection(nn.Module):
    def __init__(self, spec):
        super().__init__()


BROKEN = {
    ReadsTooMuch: "read gives",
    ClosesToOneChannel: "close gives",
    Infinite: "isn't finite",
    Counting: "keeps state, in evaluation mode",
    AlwaysRandom: "it is random",
    ImpureClose: "close isn't pure",
    Overwriting: "overwrites the update",
    OverwritingItsInput: "overwritten",
    Detached: "no gradient reaches the update of join",
    DetachedRead: "read cuts the gradient off",
    UnusedParameter: "no gradient reaches parameter forgotten",
    NoReset: "no reset_parameters",
    DrawnInTheConstructor: "queries depends on the global random state",
    ImagesOnly: r"on a stream of (tokens|points)",
    WithoutActivation: "leaves the activation after the join out",
    NoConnection: "no subclass of Connection",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_connection_fails_with_a_sentence_that_says_how(broken: Callable) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_connection(broken)
