"""A trial's key: a hash of everything that can change its outcome, and of nothing else."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue

from skiplab.errors import SkiplabError
from skiplab.records.local_paths import by_contents
from skiplab.records.plain_config import plain
from skiplab.records.record_schema import Factor

# Nodes that observe a trial, name it or say where it lies; all others enter the key.
OBSERVERS = frozenset({"logger", "instrument", "evaluator", "feature_extractor", "eval_batch", "num_samples", "run"})
# Settings of data that say how images are stored, not what they are.
_STORAGE = frozenset({"cache_dir", "max_resident_bytes"})
# The node of an axis whose option is none; a trial with it is the same as one without the axis.
_NONE = {"_target_": None}
# The largest whole numbers of a data frame, and of floating point without gaps.
_LARGEST = 2**63 - 1
_LARGEST_FLOAT = 2**53


def outcome_config(config: DictConfig) -> dict[str, Any]:
    """The part of the configuration that can change the outcome, with fingerprints in the place of local paths.

    Raises:
        SkiplabError: if a value without a default is missing, or a whole number is too large.
    """
    try:
        resolved = plain(config, complete=True)
    except MissingMandatoryValue as error:
        raise SkiplabError(f"{error.full_key} has no default; give it, {error.full_key}=...") from None
    resolved["data"] = {name: value for name, value in resolved["data"].items() if name not in _STORAGE}
    outcome = {name: node for name, node in resolved.items() if name not in OBSERVERS and node != _NONE}
    for name, value in _leaves(outcome):
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise SkiplabError(f"{name}={value} is too large; valid: whole numbers up to {_LARGEST}")
    return by_contents(outcome)


def at_seed(outcome: dict[str, Any], seed: object) -> dict[str, Any] | None:
    """The outcome configuration of a trial at another seed; None if the seed is no whole number that a key can hold."""
    return outcome | {"seed": seed} if type(seed) is int and abs(seed) <= _LARGEST else None


def is_literal(config: DictConfig) -> bool:
    """Whether none of the settings that define a trial is taken from another one, such as ${seed}."""
    nodes = {name: node for name, node in plain(config, resolve=False).items() if name not in OBSERVERS}
    nodes["data"] = {name: value for name, value in nodes["data"].items() if name not in _STORAGE}
    return "${" not in repr(nodes)


def trial_key(config: DictConfig) -> str:
    """The key of a trial, 16 hexadecimal digits; 1 and 1.0 count as equal."""
    return key_of(outcome_config(config))


def key_of(outcome: dict[str, Any]) -> str:
    """The key of the trial that has this outcome configuration."""
    text = json.dumps(_canonical(outcome), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def factors(config: DictConfig) -> dict[str, Factor]:
    """The values of the outcome configuration by their full names, such as `optimizer.lr`; lists as JSON text."""
    return {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in _leaves(outcome_config(config))
        if not {"_target_", "_partial_"}.intersection(name.split("."))
    }


def _leaves(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by their full names."""
    for name, child in node.items():
        full = f"{prefix}.{name}" if prefix else name
        if isinstance(child, dict):
            yield from _leaves(child, full)
        else:
            yield full, child


def _canonical(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _canonical(child) for name, child in node.items()}
    if isinstance(node, list):
        return [_canonical(child) for child in node]
    if isinstance(node, int) and not isinstance(node, bool) and abs(node) <= _LARGEST_FLOAT:
        return float(node)
    return node
