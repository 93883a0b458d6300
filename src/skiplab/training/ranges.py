"""Ranges of settings that a library takes, and would read as 'off' or as nothing wrong outside of them."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_decay(value: Any) -> bool:
    return _is_number(value) and 0 <= value < 1


# Which values are valid, and how that is said; of settings that a configuration has.
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "divergence_factor": (_is_positive, "a number above 0"),  # else each trial ends at its first step
    "trainer.gradient_clip_norm": (  # Lightning takes 0 for 'off', and clips to a negative norm without a word
        lambda value: value is None or _is_positive(value),
        "a number above 0, or null for no clipping",
    ),
    "optimizer.lr": (_is_positive, "a number above 0"),  # torch takes 0
    "optimizer.momentum": (_is_decay, "a number from 0, below 1"),  # torch takes any from 0
    "optimizer.betas": (  # torch reads the first two of any number
        lambda value: isinstance(value, list) and len(value) == 2 and all(map(_is_decay, value)),
        "two numbers from 0, below 1, such as [0.9, 0.999]",
    ),
    "optimizer.eps": (lambda value: _is_number(value) and value >= 0, "a number from 0"),
    "optimizer.weight_decay": (lambda value: _is_number(value) and value >= 0, "a number from 0"),
}


def out_of_range(config: DictConfig) -> Iterator[str]:
    """A sentence for each setting out of its range, and for each number that isn't finite: no record can keep it."""
    for name, (is_valid, valid) in _RANGES.items():
        node, _, leaf = name.rpartition(".")
        if leaf in (config[node] if node else config):
            value = OmegaConf.select(config, name)
            value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            if not is_valid(value):
                yield f"{name}={value} is invalid; valid: {valid}"
    for name, value in _leaves("", OmegaConf.to_container(config, resolve=True)):
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{name}={value} is invalid; valid: a finite number"


def _leaves(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), child)
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(path, child)
    else:
        yield path, node
