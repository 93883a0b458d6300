import math

from torch import nn

from skiplab.blocks.init import Init, reset_parameters, starts_as_in_torch, zero_bias
from skiplab.errors import SkiplabError


class He(Init):
    """Normal weights that keep the variance of the stream after a rectifier, W ~ N(0, gain^2 / fan_in); zero biases.

    For convolutions and linear maps. Norms, gates, embeddings and adaLN keep their own initial values.

    Source: He et al. 2015, Delving Deep into Rectifiers, arXiv:1502.01852, eq. 10 (gain^2 = 2 for ReLU, from memory).
    Differs from the source: the gain is the same for every activation, and for layers without an activation before
        them.

    Args:
        gain: factor that compensates for the variance lost in the activation, above 0.

    Raises:
        SkiplabError: if gain isn't above 0.
    """

    def __init__(self, *, gain: float) -> None:
        if not gain > 0:
            raise SkiplabError(f"init.gain={gain} is invalid; valid: a number above 0")
        self.gain = gain

    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialize the module's own parameters from the global generator."""
        reset_parameters(module)
        if starts_as_in_torch(module):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=self.gain / math.sqrt(fan_in))
            zero_bias(module)
