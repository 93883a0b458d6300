"""The activations that a network applies to its stream: which layers read them, and whether they cancel."""

from typing import cast

import torch
from torch import Tensor, nn

from skiplab.blocks.init import conditioning_modules
from skiplab.blocks.specification import NetworkSpec


def _activations(model: nn.Module) -> set[nn.Module]:
    embedding = getattr(model, "embedding", None)
    excluded = conditioning_modules(model) | set(() if embedding is None else embedding.modules())
    kind = type(_spec(model).activation())
    return {module for module in model.modules() if isinstance(module, kind) and module not in excluded}


def _spec(model: nn.Module) -> NetworkSpec:
    """What a backbone was built from."""
    return cast(NetworkSpec, model.spec)


@torch.no_grad()
def _run(model: nn.Module) -> Tensor:
    """The output for one random input."""
    dtype = next(model.parameters()).dtype
    x = torch.randn(1, *_spec(model).shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return model(x, torch.full((1,), 0.5, dtype=dtype))


def layers_after_activations(model: nn.Module) -> set[str]:
    """Paths of the convolutions and linear maps with an activation between them and the layer called before them."""
    excluded = conditioning_modules(model)
    found: set[str] = set()
    paths: dict[nn.Module, str] = {
        module: path
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and module not in excluded
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
    """Whether the output stays the same with z / 2 for act(z), which obeys act(z) - act(-z) = z too."""
    expected = _run(model)
    halve = [module.register_forward_hook(lambda module, args, output: args[0] / 2) for module in _activations(model)]
    found = _run(model)
    for handle in halve:
        handle.remove()
    return torch.allclose(found, expected, rtol=0, atol=1e-6 * expected.abs().max().item())
