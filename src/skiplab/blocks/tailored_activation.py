"""The interface of an activation that is chosen by the depth of its network."""

from typing import cast

from torch import Tensor, nn

from skiplab.blocks.specification import NetworkSpec
from skiplab.blocks.stream_activations import run_once, stream_activations


class TailoredActivation(nn.Module):
    """An activation with constants that are computed from L, the number of activations on the path to the output.

    The constants aren't trained. Until `tailor` is called, they don't depend on L.
    """

    def tailor(self, num_activations: int) -> None:
        """Compute the constants for a network of so many activations on its path."""
        raise NotImplementedError(f"{type(self).__name__} must define tailor(num_activations)")

    def forward(self, z: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define forward(z)")


def tailor_activations(model: nn.Module) -> None:
    """Give every tailored activation of a network the number of activations on the longest path to the output.

    All are on this path, one after the other, except those of the conditioning, which get the same constants. So the
    number is exact for plain networks, and the same for residual networks, which differ from them in the joins alone.
    """
    tailored = [module for module in model.modules() if isinstance(module, TailoredActivation)]
    if not tailored:
        return
    calls = 0

    def count(module: nn.Module, args: tuple) -> None:
        nonlocal calls
        calls += 1

    training = model.training
    model.eval()
    handles = [module.register_forward_pre_hook(count) for module in stream_activations(model)]
    run_once(model)
    for handle in handles:
        handle.remove()
    model.train(training)
    for module in tailored:
        module.tailor(calls)


def example_activation(model: nn.Module) -> nn.Module:
    """An activation as the network's stream has it, with the constants of its depth."""
    return next(iter(stream_activations(model)), None) or cast(NetworkSpec, model.spec).activation()
