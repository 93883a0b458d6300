from typing import NamedTuple

import torch
from torch import Tensor, nn

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec


class _Memory(NamedTuple):
    """The input and every update of the stage, and the stream that the next branch reads."""

    entries: tuple[Tensor, ...]
    stream: Tensor


class Dense(Connection):
    """A dense connection: a branch reads a projection of all updates, x_{l+1} = W_l [x_0, f_0(x_0) ... f_l(x_l)].

    [...] concatenates over channels; W_l is a 1x1 convolution to the stream's width. W_l belongs to the join that
    writes the newest entry: it computes what the next branch reads or, at the last join, the output of the stage. The
    first branch reads the stage's input.

    Source: Huang et al. 2017, Densely Connected Convolutional Networks, arXiv:1608.06993, eq. 2; W_l before a branch is
        its bottleneck layer (DenseNet-B), at the end of a stage its transition layer (section 3, from memory).
    Differs from the source: updates are as wide as the stream (the source has a smaller growth rate), so that a
        branch costs the same in every arm; W_l has no norm and no ReLU, which the branch has; W_l starts with
        variance 1 / fan_in. Parameters grow with the square of the number of joins in a stage.
    """

    def __init__(self, spec: JoinSpec) -> None:
        super().__init__(spec)
        num_entries = spec.position + 2
        self.weight = nn.Parameter(torch.empty(spec.width, num_entries * spec.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.weight.shape[1] ** -0.5)

    def open(self, x: Stream) -> _Memory:
        return _Memory((x,), x)

    def read(self, memory: _Memory, cond: Tensor | None) -> Stream:
        return memory.stream

    def write(self, memory: _Memory, update: Stream, cond: Tensor | None, activation: nn.Module) -> _Memory:
        self.refuse_activation(activation, option="dense", keeps="every update")
        entries = (*memory.entries, update)
        return _Memory(entries, torch.einsum("oc,bc...->bo...", self.weight, torch.cat(entries, dim=1)))

    def close(self, memory: _Memory) -> Stream:
        return memory.stream
