from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError

EPSILON = 1e-6  # keeps the norm of an empty memory finite


class _Memory(NamedTuple):
    """The streams, and what the next branch reads of them."""

    streams: Tensor
    reading: Tensor


class _Logits(nn.Module):
    """alpha RMSNorm(vec(X)) phi + b, one row of logits a position (eq. 7).

    Shapes: X (batch, stream, channel, *positions) to (batch, output, *positions).
    """

    def __init__(self, initial: Float[Tensor, " output"], num_streams: int, width: int, scale: float) -> None:
        super().__init__()
        self.initial, self.initial_scale = initial, scale
        self.phi = nn.Parameter(torch.empty(num_streams, width, len(initial)))
        self.alpha = nn.Parameter(torch.empty(()))
        self.bias = nn.Parameter(torch.empty(len(initial)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.phi)
        nn.init.constant_(self.alpha, self.initial_scale)
        with torch.no_grad():
            self.bias.copy_(self.initial)

    def forward(
        self, streams: Float[Tensor, "batch stream channel *positions"]
    ) -> Float[Tensor, "batch output *positions"]:
        normed = streams * torch.rsqrt(streams.square().mean(dim=(1, 2), keepdim=True) + EPSILON)
        projected = torch.einsum("bnc...,nco->bo...", normed, self.phi)
        return self.alpha * projected + self.bias.view(-1, *[1] * (streams.ndim - 3))


class ManifoldHyperConnections(Connection):
    """n streams that mix without growing, X_{l+1} = H_res X_l + H_post^T f(H_pre X_l); H_res is doubly stochastic.

    H_pre = sigmoid(.), H_post = 2 sigmoid(.), H_res = Sinkhorn-Knopp(exp(.)) of logits alpha RMSNorm(vec(X)) phi + b.
    At first phi = 0, H_post = 1, and the rows of H_pre and H_res sum to 1, which equals the residual connection.
    H_pre belongs to the join before the one that reads: it makes what the next branch reads or, at the last join,
    what leaves the stage.

    Source: Xie et al. 2025, mHC: Manifold-Constrained Hyper-Connections, arXiv:2512.24880, eq. 3 (the connection),
        7 (logits), 8 (constraints) and 9 (Sinkhorn-Knopp).
    Differs from the source: a stage ends with a reading of its last join's own, where the source sums (a sum can't
        see H_res, whose columns sum to 1); a stage's first join reads its input and has no H_res, since all streams
        are equal there; the norm has no gain, which phi would absorb; phi and b start as said here, with streams
        told apart by `initial_focus` (equal streams would stay equal).

    Args:
        num_streams: n, a whole number from 2.
        num_iterations: Sinkhorn-Knopp iterations, a whole number from 1.
        initial_scale: alpha at the start, any real number but 0.
        initial_focus: share of stream (l + 1) mod n in H_pre, and of each stream itself in H_res, at the start;
            above 1 / num_streams, below 1.

    Raises:
        SkiplabError: where one of them is outside its range.
    """

    def __init__(
        self, spec: JoinSpec, *, num_streams: int, num_iterations: int, initial_scale: float, initial_focus: float
    ) -> None:
        super().__init__(spec)
        if num_streams < 2 or num_streams != int(num_streams):
            raise SkiplabError(f"connection.num_streams={num_streams} is invalid; valid: a whole number from 2")
        if num_iterations < 1 or num_iterations != int(num_iterations):
            raise SkiplabError(f"connection.num_iterations={num_iterations} is invalid; valid: a whole number from 1")
        if initial_scale == 0:
            raise SkiplabError("connection.initial_scale=0 is invalid: phi would never learn; valid: any other number")
        if not 1 / num_streams < initial_focus < 1:
            raise SkiplabError(
                f"connection.initial_focus={initial_focus} is invalid; valid with {num_streams} streams: a number "
                f"above {1 / num_streams:g}, below 1"
            )
        self.num_streams, self.num_iterations = num_streams, num_iterations
        shares = torch.full((num_streams, num_streams), (1 - initial_focus) / (num_streams - 1), dtype=torch.float64)
        shares.fill_diagonal_(initial_focus)
        row = shares[(spec.index + 1) % num_streams]

        def logits(initial: Tensor) -> _Logits:
            return _Logits(initial, num_streams, spec.width, initial_scale)

        self.pre = logits(torch.logit(row).float())
        self.post = logits(torch.zeros(num_streams))
        if spec.position > 0:
            self.res = logits(shares.log().flatten().float())

    def open(self, x: Stream) -> _Memory:
        return _Memory(x[:, None].expand(-1, self.num_streams, *x.shape[1:]), x)

    def read(self, memory: _Memory, cond: Tensor | None) -> Stream:
        return memory.reading

    def write(self, memory: _Memory, update: Stream, cond: Tensor | None, activation: nn.Module) -> _Memory:
        self.refuse_activation(activation, option="manifold_hyper_connections", keeps=f"{self.num_streams} streams")
        streams = memory.streams
        kept = streams
        if self.spec.position > 0:
            kept = torch.einsum("bij...,bjc...->bic...", self.mixing(streams), streams)
        post = 2 * torch.sigmoid(self.post(streams))
        streams = kept + post[:, :, None] * update[:, None]
        pre = torch.sigmoid(self.pre(streams))
        return _Memory(streams, (pre[:, :, None] * streams).sum(dim=1))

    def mixing(
        self, streams: Float[Tensor, "batch stream channel *positions"]
    ) -> Float[Tensor, "batch stream stream *positions"]:
        """H_res: rows and columns sum to 1."""
        log_mixing = self.res(streams).unflatten(1, (self.num_streams, self.num_streams))
        for _ in range(self.num_iterations):
            log_mixing = log_mixing.log_softmax(dim=1)
            log_mixing = log_mixing.log_softmax(dim=2)
        return log_mixing.exp()

    def close(self, memory: _Memory) -> Stream:
        return memory.reading
