import math

from torch import nn

from skiplab.blocks.init import Init, draws_as_torch, zero_bias
from skiplab.errors import SkiplabError


class He(Init):
    """Normal weights that keep the variance behind a rectifier, W ~ N(0, gain^2 / fan_in); biases at zero.

    Convolutions and linear maps alike; norms, gates, embeddings and adaLN start in ways of their own, and keep these.

    Source: He et al. 2015, Delving Deep into Rectifiers, arXiv:1502.01852, eq. 10 (gain^2 = 2 for ReLU).
    Differs from the source: the same gain whatever the activation, and for layers that none precedes.

    Args:
        gain: what the activation's loss of variance is made up by, above 0.

    Raises:
        SkiplabError: where gain isn't above 0.
    """

    def __init__(self, *, gain: float) -> None:
        if not gain > 0:
            raise SkiplabError(f"init.gain={gain} is invalid; valid: a number above 0")
        self.gain = gain

    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialise the module's own parameters from the global generator."""
        module.reset_parameters()
        if draws_as_torch(module):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=self.gain / math.sqrt(fan_in))
            zero_bias(module)
