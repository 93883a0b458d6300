import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class DeepDelta(Connection):
    """A delta rule along the update's direction, x_{l+1} = x_l + beta (v - k^T x_l) k, k = f(x_l) / |f(x_l)|.

    At each position, over channels: the shortcut I - beta k k^T keeps what is orthogonal to k; along k it is the
    identity at beta = 0, a projection at 1 and a Householder reflection at 2, and beta v is written in its place.
    beta = 2 sigmoid(w_beta^T norm(x_l) + b_beta), v = value_range sigmoid(w_v^T x_l + b_v).

    Source: Zhang et al. 2026, Deep Delta Learning, arXiv:2601.00417, eq. 2.5 (the block) and 3.7 (its form for a
        vector stream, d_v = 1), with k, v and beta parametrised as in the authors' code for d_v = 1.
    Differs from the source: the norm before beta is an RMS norm without a gain, which w_beta would absorb;
        w_beta and w_v start at zero, so that beta and v start constant.

    Args:
        initial_beta: beta at the start, above 0 to below 2.
        value_range: v lies between 0 and this; above 0.
        epsilon: |f(x)| is sqrt(|f(x)|^2 + epsilon^2), so that an update of zero moves nothing; above 0.

    Raises:
        SkiplabError: where one of them is outside its range.
    """

    def __init__(self, spec: JoinSpec, *, initial_beta: float, value_range: float, epsilon: float) -> None:
        super().__init__(spec)
        if not 0 < initial_beta < 2:
            raise SkiplabError(f"connection.initial_beta={initial_beta} is invalid; valid: a number above 0, below 2")
        if not value_range > 0:
            raise SkiplabError(f"connection.value_range={value_range} is invalid; valid: a number above 0")
        if not epsilon > 0:
            raise SkiplabError(f"connection.epsilon={epsilon} is invalid; valid: a number above 0")
        self.initial_beta, self.value_range, self.epsilon = initial_beta, value_range, epsilon
        self.beta_weight = nn.Parameter(torch.empty(spec.width))
        self.beta_bias = nn.Parameter(torch.empty(()))
        self.value_weight = nn.Parameter(torch.empty(spec.width))
        self.value_bias = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.beta_weight)
        nn.init.constant_(self.beta_bias, math.log(self.initial_beta / (2 - self.initial_beta)))
        nn.init.zeros_(self.value_weight)
        nn.init.zeros_(self.value_bias)

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        # Channels last, so that a scalar of each position is a product over the last axis.
        x, f = stream.movedim(1, -1), update.movedim(1, -1)
        k = f * torch.rsqrt(f.square().sum(-1, keepdim=True) + self.epsilon**2)
        normed = F.rms_norm(x, (self.spec.width,))
        beta = 2 * torch.sigmoid(normed @ self.beta_weight + self.beta_bias)[..., None]
        v = self.value_range * torch.sigmoid(x @ self.value_weight + self.value_bias)[..., None]
        return (x + beta * (v - (k * x).sum(-1, keepdim=True)) * k).movedim(-1, 1)
