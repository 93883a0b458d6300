"""The layers, blocks and joins of a network, which instruments measure, from input to output."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from skiplab.blocks.block import Join
from skiplab.blocks.recomputation import recomputing


@dataclass(frozen=True)
class Layer:
    """A module with a weight of at least two dimensions (a convolution or a linear map), numbered from the input."""

    index: int
    path: str
    module: nn.Module

    @property
    def weight(self) -> nn.Parameter:
        """The module's first parameter of at least two dimensions."""
        return next(each for each in self.module.parameters(recurse=False) if each.ndim >= 2)


@dataclass(frozen=True)
class Block:
    """A block with the parameters of all its joins, numbered from the input."""

    index: int
    path: str
    parameters: tuple[nn.Parameter, ...]


@dataclass(frozen=True)
class IndexedJoin:
    """A join, numbered in the order in which the network passes the joins."""

    index: int
    path: str
    module: Join


@dataclass(frozen=True)
class Network:
    """A network with its layers, blocks and joins, each from input to output."""

    model: nn.Module
    layers: Sequence[Layer]
    blocks: Sequence[Block]
    joins: Sequence[IndexedJoin]


def inspect_network(model: nn.Module, *inputs: Tensor) -> Network:
    """Find a network's layers, blocks and joins; `inputs` are the arguments of one forward pass."""
    return Network(model, weight_layers(model, *inputs), blocks(model), joins(model))


class Hook:
    """A hook of a module that copies and pickles of the module have in a form that does nothing."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> None:
        self._call(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return Hook, (_do_nothing,)


def _do_nothing(*_: Any) -> None:
    pass


def watch(module: nn.Module, observe: Callable[[nn.Module, tuple[Any, ...], Any], None]) -> RemovableHandle:
    """Call observe(module, arguments, output) after each pass through a module, except for recomputations."""

    def after_forward(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if not recomputing():
            observe(module, arguments, output)

    return module.register_forward_hook(Hook(after_forward))


def in_order(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of a pass through a module in the order of its parameters, those that were given by name, too."""
    return inspect.signature(module.forward).bind(*arguments, **named).args


def watch_tensors(
    module: nn.Module, observe: Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]
) -> RemovableHandle:
    """Call observe(module, tensors of the arguments, first tensor of the output) after each pass that can train.

    Passes without gradients (validation in the middle of a step) and recomputations aren't observed, nor are those
    without a tensor on either side.
    """

    def after_forward(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        read, written = _tensors((*arguments, *named.values())), _tensors(output)
        if torch.is_grad_enabled() and not recomputing() and read and written:
            observe(module, read, written[0])

    return module.register_forward_hook(Hook(after_forward), with_kwargs=True)


def _tensors(values: Any) -> tuple[Tensor, ...]:
    listed = values if isinstance(values, tuple | list) else (values,)
    return tuple(each for each in listed if isinstance(each, Tensor))


@contextmanager
def in_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put all modules of a model in one mode; restore each module's own mode afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def evaluating(model: nn.Module) -> AbstractContextManager[None]:
    """Put the model in evaluation mode, in which a pass leaves its buffers alone; restore each module's own mode."""
    return in_mode(model, training=False)


def weight_layers(model: nn.Module, *inputs: Tensor) -> list[Layer]:
    """The layers in the order in which one forward pass calls them; the pass leaves the generators as they are."""
    with called_layers(model) as layers, evaluating(model), torch.no_grad(), torch.random.fork_rng():
        model(*inputs)
    return layers


@contextmanager
def called_layers(model: nn.Module) -> Iterator[list[Layer]]:
    """A list that gets each layer of the model when a pass within first calls it."""
    left = weighted_modules(model)
    found: list[Layer] = []

    def call(module: nn.Module, _: tuple[Any, ...]) -> None:
        if module in left:
            found.append(Layer(len(found), left.pop(module), module))

    handles = [module.register_forward_pre_hook(call) for module in left]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def weighted_modules(model: nn.Module) -> dict[nn.Module, str]:
    """The modules with a weight of at least two dimensions and their paths, in the order of their registration."""
    return {
        module: path
        for path, module in model.named_modules()
        if any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))
    }


def blocks(model: nn.Module) -> list[Block]:
    """The network's blocks, numbered from its input."""
    parameters: dict[int, list[nn.Parameter]] = {}
    for module in model.modules():
        if isinstance(module, Join):
            parameters.setdefault(module.block_index, []).extend(module.block_parameters())
    return [Block(index, f"block.{index}", tuple(own)) for index, own in sorted(parameters.items())]


def joins(model: nn.Module) -> list[IndexedJoin]:
    """The network's joins. A stage registers its joins in order, and blocks are numbered from the input."""
    found = [(path, module) for path, module in model.named_modules() if isinstance(module, Join)]
    found.sort(key=lambda item: item[1].block_index)
    return [IndexedJoin(index, path, module) for index, (path, module) in enumerate(found)]
