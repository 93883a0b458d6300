from torch import nn

from skiplab.blocks.init import Init, reset_parameters


class Default(Init):
    """PyTorch's own initialization of each module: uniform on +-1/sqrt(fan_in) for convolutions and linear maps.

    Source: torch.nn, `reset_parameters` of each module.
    Differs from the source: none.
    """

    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialize the module's own parameters from the global generator."""
        reset_parameters(module)
