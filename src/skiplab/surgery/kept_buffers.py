"""A pass through a network that leaves its buffers as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def kept_buffers(model: nn.Module) -> Iterator[None]:
    """Put back buffers that are written or exchanged within.

    A module that exchanges one gets its attributes back too, such as the length that its table of positions has now.
    """
    modules = [(module, dict(vars(module)), dict(module._buffers)) for module in _eager_modules(model)]
    values = [(buffer, buffer.clone()) for buffer in model.buffers() if _has_values(buffer)]
    try:
        yield
    finally:
        for module, attributes, buffers in modules:
            if _differ(module._buffers, buffers):
                vars(module).clear()
                vars(module).update(attributes)
                module._buffers.clear()
                module._buffers.update(buffers)
        for buffer, before in values:
            if not torch.equal(buffer, before):
                buffer.data.copy_(before)  # as data, since an earlier pass may wait for its backward pass


def _eager_modules(model: nn.Module) -> Iterator[nn.Module]:
    return (module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule))


def _has_values(buffer: Tensor) -> bool:
    return buffer.layout == torch.strided and not (buffer.is_meta or buffer.is_nested)


def _differ(now: dict[str, Tensor | None], before: dict[str, Tensor | None]) -> bool:
    return now.keys() != before.keys() or any(now[name] is not buffer for name, buffer in before.items())
