"""Checks of settings that belong to no option, or whose library would accept a value that makes no sense."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from skiplab.kinds import as_given, is_of, refusal
from skiplab.records.record_schema import is_number

_MANY, _MOST = 10**5, 2**31 - 1
# Settings that must be whole numbers from 1, with their largest value; a network of more blocks or channels than _MANY
# would never be built.
_COUNTS = {
    "depth": _MANY,
    "width": _MANY,
    "batch_size": _MOST,
    "num_threads": _MANY,
    "trainer.max_steps": _MOST,
    "run.checkpoint_every_steps": _MOST,
    "run.log_every_steps": _MOST,
}
_SWITCHES = ("run.rerun", "run.retry_failed", "run.dry_run", "run.activation_checkpointing", "run.cuda_graph")
_NUMBERS = ("frozen_fraction", "divergence_factor")
_CHOICES = {
    "trainer.precision": ("32-true", "16-mixed", "bf16-mixed"),
    "trainer.accelerator": ("cpu", "gpu"),
}


def _is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def _is_decay(value: Any) -> bool:
    return is_number(value) and 0 <= value < 1


# Which values are valid, as a test and in words; for settings that a configuration has.
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "divergence_factor": (_is_positive, "a number above 0"),  # else every trial ends at its first step
    "trainer.gradient_clip_norm": (  # Lightning reads 0 as 'off', and clips to a negative norm without an error
        lambda value: value is None or _is_positive(value),
        "a number above 0, or null for no clipping",
    ),
    "optimizer.lr": (_is_positive, "a number above 0"),  # torch accepts 0
    "optimizer.momentum": (_is_decay, "a number of at least 0 and below 1"),  # torch accepts any from 0
    "optimizer.betas": (  # torch reads the first two of a longer list
        lambda value: isinstance(value, list) and len(value) == 2 and all(map(_is_decay, value)),
        "two numbers of at least 0 and below 1, such as [0.9, 0.999]",
    ),
    "optimizer.eps": (lambda value: is_number(value) and value >= 0, "a number of at least 0"),
    "optimizer.weight_decay": (lambda value: is_number(value) and value >= 0, "a number of at least 0"),
}


def wrong_counts(config: DictConfig) -> Iterator[str]:
    """A message for each count that isn't one; the network can't be built with them."""
    for name, most in (*_COUNTS.items(), ("seed", None)):
        value, least = OmegaConf.select(config, name), 0 if name == "seed" else 1
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or value < least or (most is not None and value > most):
            limit = f" to {most}" if is_whole and most is not None else ""
            yield f"{name}={as_given(value)} is invalid; valid: a whole number from {least}{limit}"


def wrong_settings(config: DictConfig) -> Iterator[str]:
    """A message for each other setting of the wrong type or out of its range, and for each number that isn't finite."""
    for name, kind in (*((name, bool) for name in _SWITCHES), *((name, float) for name in _NUMBERS)):
        if not is_of(value := OmegaConf.select(config, name), kind):
            yield refusal(name, value, kind)
    for name, valid in _CHOICES.items():
        if (value := OmegaConf.select(config, name)) not in valid:
            yield f"{name}={value} is invalid; valid: {', '.join(valid)}"
    for name, (is_valid, words) in _RANGES.items():
        node, _, leaf = name.rpartition(".")
        if leaf in (config[node] if node else config):
            value = OmegaConf.select(config, name)
            value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            if not is_valid(value):
                yield f"{name}={value} is invalid; valid: {words}"
    for name, value in _leaves("", OmegaConf.to_container(config, resolve=True)):
        if isinstance(value, float) and not math.isfinite(value):  # no record can hold it
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
