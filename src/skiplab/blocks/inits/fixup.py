import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.init import conditioning_modules, joins, output_layer, refuse_dead_joins, stream_layers
from skiplab.blocks.inits.he import He
from skiplab.blocks.shift import Shift


class _Offset(nn.Module):
    """A trained scalar added to what a layer reads, zero at first."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.value)


class _Multiplier(nn.Module):
    """A trained scalar that multiplies an update, one at first."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.ones(()))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.value)


# Hooks find the scalar through the module that they are called with, so that a copy of a network uses its own.
def _add_offset(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
    return (args[0] + module.offset.value,)


def _multiply(module: nn.Module, args: tuple, update: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    return module.multiplier.value * update


class Fixup(He):
    """He's initialisation, scaled so that a step changes the output equally at every depth, W1 ~ L^(-1/(2m-2)).

    Of a branch of m convolutions and linear maps, the last module starts at zero, the others are scaled by
    L^(-1/(2m-2)), L the number of joins; the network's output layer starts at zero. A trained scalar stands before each
    convolution, linear map and activation of a branch (added, 0 at first) and behind the branch (multiplying, 1 at
    first): further parameters, `<layer>.offset.value` and `branch.multiplier.value`.

    Source: Zhang, Dauphin and Ma 2019, Fixup Initialization, arXiv:1901.09321, section 3, rules 1 to 3.
    Differs from the source: scalars stand in the branches alone; layers keep biases of their own; the conditioning's
        term is scaled too; the norm is an axis of its own (the source does without); one gain for all activations;
        joins are counted, two for a transformer's block.

    Args:
        gain: what the activation's loss of variance is made up by, above 0.

    Raises:
        SkiplabError: where gain isn't above 0, nothing would pass an update of zero (connection=plain), or the
            connection starts at zero too.
    """

    def prepare(self, model: nn.Module) -> None:
        refuse_dead_joins(model, "fixup")
        branches = [join.branch for join in joins(model)]
        self._zero = {output_layer(model, "fixup"), *(branch.last for branch in branches)}
        self._factor: dict[nn.Module, float] = {}
        for branch in branches:
            layers = stream_layers(branch)
            if len(layers) > 1:
                factor = len(branches) ** (-1 / (2 * len(layers) - 2))
                # The conditioning's term is added to what a scaled layer gives, so it is scaled alike.
                shifts = [module for module in branch.modules() if isinstance(module, Shift)]
                self._factor.update((layer, factor) for layer in [*layers, *shifts])
            self._add_scalars(branch)

    @staticmethod
    def _add_scalars(branch: Branch) -> None:
        elsewhere = conditioning_modules(branch) | set(branch.activation_after_join.modules())
        activation = type(branch.spec.activation())
        for module in list(branch.modules()):
            if isinstance(module, nn.Linear | nn.Conv2d | activation) and module not in elsewhere:
                module.add_module("offset", _Offset())
                module.register_forward_pre_hook(_add_offset)
        branch.add_module("multiplier", _Multiplier())
        branch.register_forward_hook(_multiply)

    @torch.no_grad()
    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialise the module's own parameters from the global generator."""
        super().__call__(module, path)
        if module in self._zero:
            for parameter in module.parameters(recurse=False):
                parameter.zero_()
        elif module in self._factor:
            module.weight.mul_(self._factor[module])
