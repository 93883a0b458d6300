"""The activations that a network applies to its stream: which layers read them, and whether they cancel."""

from typing import cast

import torch
from torch import Tensor, nn

from skiplab.blocks.init import conditioning_modules
from skiplab.blocks.specification import NetworkSpec

# Largest difference at one layer that counts as rounding, over the layer's largest output, in float64.
_ROUNDING = 1e-9


def stream_activations(model: nn.Module) -> set[nn.Module]:
    """The activations of the stream, without those of the conditioning and of its embedding."""
    embedding = getattr(model, "embedding", None)
    excluded = conditioning_modules(model) | set(() if embedding is None else embedding.modules())
    kind = type(_spec(model).activation())
    return {module for module in model.modules() if isinstance(module, kind) and module not in excluded}


def _stream_layers(model: nn.Module) -> dict[nn.Module, str]:
    """The convolutions and linear maps that don't belong to the conditioning, each with its path."""
    excluded = conditioning_modules(model)
    return {
        module: path
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and module not in excluded
    }


def _spec(model: nn.Module) -> NetworkSpec:
    """What a backbone was built from."""
    return cast(NetworkSpec, model.spec)


@torch.no_grad()
def run_once(model: nn.Module, copies: int = 1) -> Tensor:
    """The output for a batch of copies of one random input."""
    dtype = next(model.parameters()).dtype
    x = torch.randn(1, *_spec(model).shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return model(x.expand(copies, *x.shape[1:]).contiguous(), torch.full((copies,), 0.5, dtype=dtype))


def layers_after_activations(model: nn.Module) -> set[str]:
    """Paths of the convolutions and linear maps with an activation between them and the layer called before them."""
    found: set[str] = set()
    paths = _stream_layers(model)
    activated = False

    def on_activation(module: nn.Module, args: tuple) -> None:
        nonlocal activated
        activated = True

    def on_layer(module: nn.Module, args: tuple) -> None:
        nonlocal activated
        if activated:
            found.add(paths[module])
        activated = False

    handles = [module.register_forward_pre_hook(on_activation) for module in stream_activations(model)]
    handles += [module.register_forward_pre_hook(on_layer) for module in paths]
    run_once(model)
    for handle in handles:
        handle.remove()
    return found


def layer_without_cancellation(model: nn.Module) -> str | None:
    """Path of the first layer whose output changes with z / 2 for act(z), which obeys act(z) - act(-z) = z too.

    A batch of two equal inputs passes the network, of which the second has z / 2. After each layer the second is
    replaced by the first, so that each layer is judged by itself. Over many layers with norms, rounding would grow
    exponentially.

    Args:
        model: a network in float64 and in evaluation mode, in which inputs of a batch don't interact.

    Returns:
        The path, or None if all activations cancel.
    """
    paths = _stream_layers(model)
    changed: list[str] = []

    def halve(module: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        return torch.stack([output[0], args[0][1] / 2])

    def compare(module: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        expected, found = output
        if not (found - expected).abs().max() <= _ROUNDING * expected.abs().max():
            changed.append(paths[module])
        return torch.stack([expected, expected])

    handles = [module.register_forward_hook(halve) for module in stream_activations(model)]
    handles += [module.register_forward_hook(compare) for module in paths]
    run_once(model, copies=2)
    for handle in handles:
        handle.remove()
    return changed[0] if changed else None
