"""Tensors computed from the training images, cached on disk for each data set and feature extractor."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from skiplab.cache_dir import cache_dir
from skiplab.evaluators.evaluator import Trained
from skiplab.records.atomic_file import write_atomically


def cached(trained: Trained, kind: str, compute: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors that `compute` derives from the extractor's features, read from the cache if it has them.

    kind: the entry's folder. It names everything that `compute` depends on, besides the training images and the
        extractor.
    """
    return _cached(trained, cache_dir() / kind / f"{reference_key(trained)}.safetensors", compute)


def cached_of_images(trained: Trained, kind: str, compute: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The same for tensors that `compute` derives from the images themselves."""
    return _cached(trained, cache_dir() / kind / f"{_key(trained)}.safetensors", compute)


def _cached(trained: Trained, path: Path, compute: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    found = _read(path)
    if found is None:
        found = {name: part.cpu().contiguous() for name, part in compute().items()}
        with contextlib.suppress(OSError):  # a cache that can't be written only costs time
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, save(found, metadata={"sha256": digest(found)}))
    return {name: part.to(trained.device) for name, part in found.items()}


def reference_key(trained: Trained) -> str:
    """Hash of the images, the extractor, and the device and torch version."""
    return _key(trained, **trained.extractor.facts())


def _key(trained: Trained, **others: Any) -> str:
    where = {"device": trained.device.type, "torch": torch.__version__}
    facts = {"data": trained.data.train.content_hash, **others, **where}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _read(path: Path) -> dict[str, Tensor] | None:
    """An entry of the cache, or None if it is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return found if file.metadata()["sha256"] == digest(found) else None
    except (OSError, SafetensorError, KeyError, TypeError):
        return None


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Hash of tensors and their names."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].cpu().contiguous().numpy().data)
    return found.hexdigest()
