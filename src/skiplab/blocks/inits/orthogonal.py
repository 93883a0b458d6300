import torch
from torch import nn

from skiplab.blocks.init import Init, reset_parameters, starts_as_in_torch, zero_bias
from skiplab.blocks.orthogonal_weight import orthogonal_weight
from skiplab.errors import SkiplabError


class Orthogonal(Init):
    """Weights that preserve lengths, W^T W = gain^2 I (or W W^T, whichever is smaller); zero biases.

    Convolutions are delta-orthogonal: such a matrix at the center of the kernel, zeros around it. Norms, gates,
    embeddings and adaLN keep their own initial values.

    Source: Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning, arXiv:1312.6120, section 3 (from
        memory); convolutions: Xiao et al. 2018, Dynamical Isometry and a Mean Field Theory of CNNs, arXiv:1806.05393,
        section 3 (from memory).
    Differs from the source: convolutions to fewer channels are delta-orthogonal too, as projections; a grouped
        convolution is delta-orthogonal in each group; a patch is mapped as one vector.

    Args:
        gain: factor of lengths, above 0; 1 for linear networks, sqrt(2) compensates for ReLU.

    Raises:
        SkiplabError: if gain isn't above 0.
    """

    def __init__(self, *, gain: float) -> None:
        if not gain > 0:
            raise SkiplabError(f"init.gain={gain} is invalid; valid: a number above 0")
        self.gain = gain

    @torch.no_grad()
    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialize the module's own parameters from the global generator."""
        reset_parameters(module)
        if starts_as_in_torch(module):
            stride, groups = getattr(module, "stride", ()), getattr(module, "groups", 1)
            blocks = [orthogonal_weight(block, stride, self.gain) for block in module.weight.chunk(groups)]
            module.weight.copy_(torch.cat(blocks))
            zero_bias(module)
