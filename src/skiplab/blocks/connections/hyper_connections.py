import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class _Coefficients(nn.Module):
    """One column of weights per output: A(H) = A + s tanh(norm(H) W) if dynamic, else A.

    Shapes: H (batch, stream, channel, *positions) to (batch or 1, stream, output, *positions).
    """

    def __init__(self, initial: Float[Tensor, "stream output"], width: int, scale: float | None) -> None:
        super().__init__()
        self.initial, self.initial_scale = initial, scale
        self.static = nn.Parameter(torch.empty_like(initial))
        if scale is not None:
            self.weight = nn.Parameter(torch.empty(width, initial.shape[1]))
            self.scale = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.static.copy_(self.initial)
        if self.initial_scale is not None:
            nn.init.zeros_(self.weight)
            nn.init.constant_(self.scale, self.initial_scale)

    def forward(
        self, memory: Float[Tensor, "batch stream channel *positions"]
    ) -> Float[Tensor, "samples stream output *ones"]:
        static = self.static.view(1, *self.static.shape, *[1] * (memory.ndim - 3))
        if self.initial_scale is None:
            return static
        normed = F.layer_norm(memory.movedim(2, -1), (memory.shape[2],)).movedim(-1, 2)
        return static + self.scale * torch.tanh(torch.einsum("bnc...,co->bno...", normed, self.weight))


class HyperConnections(Connection):
    """n parallel streams, H_{l+1} = A_r^T H_l + B^T f(A_m^T H_l), which are averaged at the end of the stage.

    A_m reads, A_r mixes, B writes; each join has its own. At the start all streams are copies of the input, A_m = e_j
    with j = l mod n, A_r = I and B = 1, which equals the residual connection. Dynamic coefficients add
    s tanh(norm(H) W) to A_m, A_r and B, with W = 0 at the start.

    Source: Zhu et al. 2024, Hyper-Connections, arXiv:2409.19606, eq. 1 to 5 (static), 10 to 13 (dynamic), 14 (initial
        values, from memory).
    Differs from the source: streams are averaged at the end of each stage, where the source sums them at the end of
        the network and needs a final norm; the first join of a stage reads the input, because all streams are equal
        there; the norm has no gain or bias; A_m and A_r each have an s.

    Args:
        num_streams: n, a whole number from 1.
        dynamic: whether the coefficients depend on the streams.
        initial_scale: s at the start, any real number but 0; unused if dynamic is false.

    Raises:
        SkiplabError: if num_streams or initial_scale is outside its range.
    """

    def __init__(self, spec: JoinSpec, *, num_streams: int, dynamic: bool, initial_scale: float) -> None:
        super().__init__(spec)
        if num_streams < 1 or num_streams != int(num_streams):
            raise SkiplabError(f"connection.num_streams={num_streams} is invalid; valid: a whole number from 1")
        if initial_scale == 0:
            raise SkiplabError(
                "connection.initial_scale=0 is invalid, because dynamic coefficients would never learn; valid: any "
                "other number, such as 0.01"
            )
        self.num_streams, self.dynamic = num_streams, dynamic
        scale = initial_scale if dynamic else None
        own = torch.zeros(num_streams, 1)
        own[spec.index % num_streams] = 1
        if spec.position > 0:
            self.reading = _Coefficients(own, spec.width, scale)
        self.mixing = _Coefficients(torch.eye(num_streams), spec.width, scale)
        self.writing = _Coefficients(torch.ones(num_streams, 1), spec.width, scale)

    def open(self, x: Stream) -> Float[Tensor, "batch stream channel *positions"]:
        return x[:, None].expand(-1, self.num_streams, *x.shape[1:])

    def read(self, memory: Float[Tensor, "batch stream channel *positions"], cond: Tensor | None) -> Stream:
        if self.spec.position == 0:
            return memory[:, 0]
        return (self.reading(memory) * memory).sum(dim=1)

    def write(
        self,
        memory: Float[Tensor, "batch stream channel *positions"],
        update: Stream,
        cond: Tensor | None,
        activation: nn.Module,
    ) -> Float[Tensor, "batch stream channel *positions"]:
        option = "hyper_connections_dynamic" if self.dynamic else "hyper_connections"
        self.refuse_activation(activation, option=option, keeps=f"{self.num_streams} streams")
        mixed = torch.einsum("bnm...,bnc...->bmc...", self.mixing(memory), memory)
        return mixed + self.writing(memory) * update[:, None]

    def close(self, memory: Float[Tensor, "batch stream channel *positions"]) -> Stream:
        return memory.mean(dim=1)
