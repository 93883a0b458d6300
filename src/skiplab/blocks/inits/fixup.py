from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.init import branch_joins, conditioning_modules, output_layer, refuse_dead_joins, stream_layers
from skiplab.blocks.inits.he import He
from skiplab.blocks.shift import Shift


class _Offset(nn.Module):
    """A trained scalar that is added to the input of a layer; it starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.value)


class _Multiplier(nn.Module):
    """A trained scalar that multiplies an update; it starts at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.ones(()))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.value)


# Hooks find the scalar through the module that they are called with, so that a copied network uses its own scalars.
def _add_offset(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
    return (args[0] + cast(_Offset, module.offset).value,)


def _multiply(module: nn.Module, args: tuple, update: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    return cast(_Multiplier, module.multiplier).value * update


class Fixup(He):
    """He initialization, scaled so that a step changes the output equally at every depth, W1 ~ L^(-1/(2m-2)).

    In a branch of m convolutions and linear maps, the last module starts at zero. The others are scaled by
    L^(-1/(2m-2)), with L the number of joins. The network's output layer starts at zero. Each branch gets additional
    parameters: a scalar that is added before each convolution, linear map and activation (`<layer>.offset.value`, 0 at
    the start), and a scalar that multiplies the update (`branch.multiplier.value`, 1 at the start).

    Source: Zhang, Dauphin and Ma 2019, Fixup Initialization, arXiv:1901.09321, section 3, rules 1 to 3 (from memory).
    Differs from the source: only branches have the scalars; layers keep their biases; the term of the conditioning is
        scaled too; the norm is a separate axis (the source has none); all activations have the same gain; L counts
        joins, two for the block of a transformer.

    Args:
        gain: factor that compensates for the variance lost in the activation, above 0.

    Raises:
        SkiplabError: if gain isn't above 0, or the connection drops the stream (connection=plain) or starts at zero
            too.
    """

    def prepare(self, model: nn.Module) -> None:
        refuse_dead_joins(model, "fixup")
        branches = [join.branch for join in branch_joins(model)]
        self._zero = {output_layer(model, "fixup"), *(branch.last for branch in branches)}
        self._factor: dict[nn.Module, float] = {}
        for branch in branches:
            layers = stream_layers(branch)
            if len(layers) > 1:
                factor = len(branches) ** (-1 / (2 * len(layers) - 2))
                # The term of the conditioning is added to the output of a scaled layer, so it gets the same factor.
                shifts = [module for module in branch.modules() if isinstance(module, Shift)]
                self._factor.update((layer, factor) for layer in [*layers, *shifts])
            self._add_scalars(branch)

    @staticmethod
    def _add_scalars(branch: Branch) -> None:
        excluded = conditioning_modules(branch) | set(branch.activation_after_join.modules())
        activation = type(branch.spec.activation())
        for module in list(branch.modules()):
            if isinstance(module, nn.Linear | nn.Conv2d | activation) and module not in excluded:
                module.add_module("offset", _Offset())
                module.register_forward_pre_hook(_add_offset)
        branch.add_module("multiplier", _Multiplier())
        branch.register_forward_hook(_multiply)

    @torch.no_grad()
    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialize the module's own parameters from the global generator."""
        super().__call__(module, path)
        if module in self._zero:
            for parameter in module.parameters(recurse=False):
                parameter.zero_()
        elif module in self._factor:
            cast(Tensor, module.weight).mul_(self._factor[module])
