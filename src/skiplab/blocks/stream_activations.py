"""The activations that a network applies to its stream: which layers read them, and what it computes without them."""

import torch
from torch import Tensor, nn

from skiplab.blocks.init import conditioning_modules


def _activations(model: nn.Module) -> set[nn.Module]:
    elsewhere = conditioning_modules(model) | set(
        model.embedding.modules() if getattr(model, "embedding", None) else ()
    )
    kind = type(model.spec.activation())
    return {module for module in model.modules() if isinstance(module, kind) and module not in elsewhere}


@torch.no_grad()
def _run(model: nn.Module) -> Tensor:
    """The output for one random input."""
    kind = {"dtype": next(model.parameters()).dtype}
    x = torch.randn(1, *model.spec.shape, generator=torch.Generator().manual_seed(0), **kind)
    return model(x, torch.full((1,), 0.5, **kind))


def layers_behind_activations(model: nn.Module) -> set[str]:
    """Paths of the convolutions and linear maps between which and the layer called before them an activation stands."""
    elsewhere, found = conditioning_modules(model), set()
    paths = {
        module: path
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and module not in elsewhere
    }
    activated = False

    def on_activation(module: nn.Module, args: tuple) -> None:
        nonlocal activated
        activated = True

    def on_layer(module: nn.Module, args: tuple) -> None:
        nonlocal activated
        if activated:
            found.add(paths[module])
        activated = False

    handles = [module.register_forward_pre_hook(on_activation) for module in _activations(model)]
    handles += [module.register_forward_pre_hook(on_layer) for module in paths]
    _run(model)
    for handle in handles:
        handle.remove()
    return found


def activations_cancel(model: nn.Module) -> bool:
    """Whether the network computes the same with z / 2 in place of act(z), which obeys act(z) - act(-z) = z too."""
    expected = _run(model)
    halve = [module.register_forward_hook(lambda module, args, output: args[0] / 2) for module in _activations(model)]
    found = _run(model)
    for handle in halve:
        handle.remove()
    return torch.allclose(found, expected, rtol=0, atol=1e-6 * expected.abs().max().item())
