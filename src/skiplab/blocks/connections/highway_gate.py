import torch
from torch import Tensor, nn

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec


class HighwayGate(Connection):
    """A gate between stream and update, x_{l+1} = (1 - T(x_l)) x_l + T(x_l) f(x_l), T(x) = sigmoid(W x + b).

    W maps channels at each position by itself, so there is a gate per channel and position.

    Source: Srivastava et al. 2015, Highway Networks, arXiv:1505.00387, eq. 3 (carry gate 1 - T) and section 2.2
        (negative initial bias: -1 to -3).
    Differs from the source: W is a 1x1 convolution, as in He et al. 2016, arXiv:1603.05027, section 3.1.

    Args:
        initial_bias: value of b at the start, any real number; the lower, the more of the stream is carried.
    """

    def __init__(self, spec: JoinSpec, *, initial_bias: float) -> None:
        super().__init__(spec)
        self.initial_bias = initial_bias
        self.weight = nn.Parameter(torch.empty(spec.width, spec.width))
        self.bias = nn.Parameter(torch.empty(spec.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.spec.width**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.constant_(self.bias, self.initial_bias)

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        logits = torch.einsum("oc,bc...->bo...", self.weight, stream)
        gate = torch.sigmoid(logits + self.bias.view(-1, *[1] * (stream.ndim - 2)))
        return (1 - gate) * stream + gate * update
