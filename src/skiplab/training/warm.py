"""Prepares a worker that forks trials from itself."""

from collections.abc import Iterator
from importlib import import_module
from io import StringIO
from typing import Any

import pandas as pd
import wandb
from hydra.utils import get_object
from omegaconf import DictConfig

from skiplab.records.plain_config import plain
from skiplab.records.provenance import origin


def warm(config: DictConfig) -> None:
    """Import all that a trial will import, and start what trials share."""
    for name in ("trial", "measure"):  # the second is imported where training ends
        import_module(f"skiplab.training.{name}")
    for target in _targets(plain(config, resolve=False)):
        get_object(target)
    origin(gpu=None, capability="")  # looks up commit and versions, those of the code that was just imported
    pd.read_csv(StringIO("text\na")).to_csv(StringIO())  # imports what reads and writes the first table
    if config.logger._target_ is not None:
        wandb.setup()
        import_module("wandb.sdk.launch")  # which every run imports when it starts, taking a second


def _targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a configuration."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for child in node.values():
            yield from _targets(child)
