"""Single shortcuts of a trained network, changed for a while: scaled, or their branches swapped."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from skiplab.blocks.connections.identity import Identity
from skiplab.surgery.ablate import replace_shortcuts, restore
from skiplab.surgery.foreign_join import ForeignJoin, joins_of
from skiplab.surgery.shortcut import Shortcut, Shortcuts


@contextmanager
def adjustable(where: Shortcuts) -> Iterator[list[ForeignJoin]]:
    """A join at each of these shortcuts, in their order; until one is changed, the network adds as it does.

    Raises:
        SkiplabError: if there is nothing to replace, or a shortcut can't be replaced.
    """
    model = where.model
    replace_shortcuts(model, Identity, where)
    try:
        yield joins_of(model)
    finally:
        restore(model)


@contextmanager
def scaled(joins: Sequence[ForeignJoin], factor: float) -> Iterator[None]:
    """The stream is multiplied by a factor where it passes these branches: factor x + f(x); without it, if 0."""

    def forward(stream: Tensor, update: Tensor) -> Tensor:
        return factor * stream + update if factor else update  # an infinite stream is removed too

    try:
        for join in joins if factor != 1 else ():
            join.forward = forward
        yield
    finally:
        for join in joins:
            vars(join).pop("forward", None)


@contextmanager
def swapped(model: nn.Module, first: Shortcut, second: Shortcut) -> Iterator[None]:
    """The weights of the branches of two shortcuts change places, so that the branches come in the other order."""
    pairs = list(zip(_tensors(model, first), _tensors(model, second), strict=True))
    _exchange(pairs)
    try:
        yield
    finally:
        _exchange(pairs)


def neighbor(model: nn.Module, shortcuts: Sequence[Shortcut], index: int) -> int | None:
    """The next shortcut of the same stage and level whose branch has the same layers; None if there is none."""
    own = shortcuts[index]
    for other, each in enumerate(shortcuts[index + 1 :], start=index + 1):
        if (each.stage, each.level) == (own.stage, own.level) and _exchangeable(model, own, each):
            return other
    return None


def _exchangeable(model: nn.Module, first: Shortcut, second: Shortcut) -> bool:
    kinds = [[type(model.get_submodule(path)) for path in each.branch] for each in (first, second)]
    shapes = [[tensor.shape for tensor in _tensors(model, each)] for each in (first, second)]
    addresses = [{id(tensor) for tensor in _tensors(model, each)} for each in (first, second)]
    return bool(shapes[0]) and kinds[0] == kinds[1] and shapes[0] == shapes[1] and not addresses[0] & addresses[1]


def _tensors(model: nn.Module, shortcut: Shortcut) -> list[Tensor]:
    modules = [model.get_submodule(path) for path in shortcut.branch]
    return [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]


@torch.no_grad()
def _exchange(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    for one, other in pairs:
        one.data, other.data = other.data, one.data
