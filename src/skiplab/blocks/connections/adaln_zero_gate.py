import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError


class AdaLNZeroGate(Connection):
    """A residual connection behind a gate that conditioning sets, x_{l+1} = x_l + g(c) * f(x_l), g = 0 at first.

    g(c) = W silu(c) + b has a value per channel.

    Source: Peebles and Xie 2023, Scalable Diffusion Models with Transformers (DiT), arXiv:2212.09748, section 3.2,
        'adaLN-Zero block' (alpha in figure 3).
    Differs from the source: the gate alone; adaLN's shift and scale belong to the branch.

    Raises:
        SkiplabError: where the join has no conditioning.
    """

    def __init__(self, spec: JoinSpec) -> None:
        super().__init__(spec)
        if spec.cond_width < 1:
            raise SkiplabError(
                "connection=adaln_zero_gate needs conditioning, and cond_width=0 here; take a backbone that has it, "
                "or connection=rezero, whose gate is a trained scalar"
            )
        self.weight = nn.Parameter(torch.empty(spec.width, spec.cond_width))
        self.bias = nn.Parameter(torch.empty(spec.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def join(self, stream: Stream, update: Stream, cond: Float[Tensor, "batch cond"]) -> Stream:
        gate = F.linear(F.silu(cond), self.weight, self.bias)
        return stream + gate.view(*gate.shape, *[1] * (update.ndim - 2)) * update
