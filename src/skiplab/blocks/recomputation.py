"""Activation checkpointing: activations are computed again in the backward pass instead of being kept."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

_here = threading.local()


def recomputed(module: nn.Module, function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments), with only the arguments kept for the backward pass, which computes the rest again.

    The second pass draws the same random numbers and leaves the module's buffers (running statistics) as they are. So
    results, gradients and state are bit-equal to those without recomputation.

    Source: Chen et al. 2016, Training deep nets with sublinear memory cost, arXiv:1604.06174, section 4 (from memory).
    """
    contexts = lambda: (nullcontext(), _again(module))  # noqa: E731
    return checkpoint(function, *arguments, use_reentrant=False, context_fn=contexts)


def recomputing() -> bool:
    """Whether the current pass is a recomputation in a backward pass."""
    return getattr(_here, "recomputing", False)


@contextmanager
def _again(module: nn.Module) -> Iterator[None]:
    """Mark a pass as a recomputation, and restore the buffers of the module after it."""
    own = [each._buffers for each in module.modules()]
    saved = [dict(buffers) for buffers in own]
    for buffers in own:
        buffers.update({name: buffer.clone() for name, buffer in buffers.items() if buffer is not None})
    _here.recomputing = True
    try:
        yield
    finally:
        _here.recomputing = False
        for buffers, before in zip(own, saved, strict=True):
            buffers.update(before)
