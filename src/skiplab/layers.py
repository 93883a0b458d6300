"""The layers and blocks of a network that instruments measure, from input to output."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skiplab.blocks.block import Join


@dataclass(frozen=True)
class Layer:
    """A module with a weight of two or more dimensions (a convolution or a linear map)."""

    index: int
    path: str
    module: nn.Module


@dataclass(frozen=True)
class Block:
    """One block with all its joins' parameters, counted from the network's input."""

    index: int
    path: str
    parameters: tuple[nn.Parameter, ...]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, so that a pass leaves its buffers alone; afterwards as it was."""
    training = model.training
    try:
        yield model.eval()
    finally:
        model.train(training)


def weight_layers(model: nn.Module, *inputs: Tensor) -> list[Layer]:
    """The layers in the order in which one forward pass calls them; generators are left as they were."""
    paths = {
        module: path
        for path, module in model.named_modules()
        if any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))
    }
    called: dict[nn.Module, None] = {}
    handles = [module.register_forward_pre_hook(lambda module, _: called.setdefault(module)) for module in paths]
    try:
        with evaluating(model), torch.no_grad(), torch.random.fork_rng():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [Layer(index, paths[module], module) for index, module in enumerate(called)]


def blocks(model: nn.Module) -> list[Block]:
    """The network's blocks, numbered from its input."""
    parameters: dict[int, list[nn.Parameter]] = {}
    for module in model.modules():
        if isinstance(module, Join):
            parameters.setdefault(module.block_index, []).extend(module.parameters())
    return [Block(index, f"block.{index}", tuple(found)) for index, found in sorted(parameters.items())]
