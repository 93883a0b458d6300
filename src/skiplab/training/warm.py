"""Prepares a worker that forks trials from itself."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from io import StringIO
from typing import Any

import pandas as pd
from hydra.utils import get_object

from skiplab.records.provenance import origin
from skiplab.training.quiet import quiet

_FOR_EVERY_TRIAL = (
    "skiplab.training.trial",
    "skiplab.training.measure",  # which is imported where training ends
    "skiplab.outcome_text",
    "fsspec.implementations.chained",  # by the first file that Lightning opens
)
_OWN = ("skiplab.", "torch.", "pytorch_lightning.")
_OTHERS = "skiplab.backbones.external.External"  # makes a network that its settings name


def warm(settings: Mapping[str, Any]) -> None:
    """Do once what each forked trial would do again: import what it will import, and start what trials share."""
    warm_for_every_trial()
    for target in _targets(settings):
        get_object(target)
    if settings["logger"]["_target_"] is not None:
        import wandb

        wandb.setup()
        import_module("wandb.sdk.launch")  # which every run imports when it starts, taking a second


@cache
def warm_for_every_trial() -> None:
    """The part of it that is the same for all trials."""
    for name in _FOR_EVERY_TRIAL:
        import_module(name)
    quiet()
    origin(gpu=None, capability="")  # looks up commit and versions, those of the code that was just imported
    pd.read_csv(StringIO("text\na")).to_csv(StringIO())  # imports what reads and writes the first table


def is_of_own_code(settings: Mapping[str, Any]) -> bool:
    """Whether a configuration names no code but that of skiplab and torch, which starts no threads when it is built."""
    targets = [*_targets(settings)]
    return all(each.startswith(_OWN) for each in targets) and _OTHERS not in targets


def _targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a configuration."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for child in node.values():
            yield from _targets(child)
