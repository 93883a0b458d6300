"""Activations that are computed again in the backward pass instead of kept for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

_here = threading.local()


def recomputed(module: nn.Module, passing: Callable[..., Any], *arguments: Any) -> Any:
    """passing(*arguments), for whose backward pass only the arguments are kept, and the rest is computed again.

    What was random is drawn alike, and the module's buffers (running statistics) are updated by the first pass alone:
    results, gradients and state are bit-equal to those without it.

    Source: Chen et al. 2016, Training deep nets with sublinear memory cost, arXiv:1604.06174, section 4.
    """
    contexts = lambda: (nullcontext(), _again(module))  # noqa: E731
    return checkpoint(passing, *arguments, use_reentrant=False, context_fn=contexts)


def recomputing() -> bool:
    """Whether what runs now runs for the second time, in a backward pass."""
    return getattr(_here, "recomputing", False)


@contextmanager
def _again(module: nn.Module) -> Iterator[None]:
    """A pass that leaves the buffers of a module as they are."""
    own = [each._buffers for each in module.modules()]
    kept = [dict(buffers) for buffers in own]
    for buffers in own:
        buffers.update({name: buffer.clone() for name, buffer in buffers.items() if buffer is not None})
    _here.recomputing = True
    try:
        yield
    finally:
        _here.recomputing = False
        for buffers, before in zip(own, kept, strict=True):
            buffers.update(before)
