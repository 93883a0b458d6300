"""A trial's key: a hash of everything that can change its outcome, and of nothing else."""

import hashlib
import json
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from skiplab.errors import SkiplabError

# Nodes that observe a trial, name it or say where it lies; every other node counts.
OBSERVERS = frozenset({"logger", "instrument", "evaluator", "feature_extractor", "probe", "num_samples", "run"})
# Settings of data that say how images are kept, not what they are.
_KEEPING = frozenset({"cache_dir", "max_resident_bytes"})


def outcome_config(config: DictConfig) -> dict[str, Any]:
    """The resolved part of the configuration that can change the outcome.

    Raises:
        SkiplabError: where a value is missing that has no default.
    """
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise SkiplabError(f"{error.full_key} has no default; give it, {error.full_key}=...") from None
    resolved["data"] = {name: value for name, value in resolved["data"].items() if name not in _KEEPING}
    return {name: node for name, node in resolved.items() if name not in OBSERVERS}


def trial_key(config: DictConfig) -> str:
    """16 hexadecimal digits; 1 and 1.0 are the same value."""
    text = json.dumps(_canonical(outcome_config(config)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def factors(config: DictConfig) -> dict[str, Any]:
    """The outcome configuration as flat leaves, `depth` or `optimizer.lr`; lists as text."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, node: Any) -> None:
        if isinstance(node, dict):
            for name, child in node.items():
                if name not in ("_target_", "_partial_"):
                    walk(f"{prefix}.{name}" if prefix else name, child)
        else:
            flat[prefix] = json.dumps(node) if isinstance(node, list) else node

    walk("", outcome_config(config))
    return flat


def _canonical(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _canonical(child) for name, child in node.items()}
    if isinstance(node, list):
        return [_canonical(child) for child in node]
    if isinstance(node, int) and not isinstance(node, bool):
        return float(node)
    return node
