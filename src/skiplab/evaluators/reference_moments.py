"""Mean and covariance of the training images' features, computed once for each data and extractor and kept on disk."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from skiplab.data.dataset import Split
from skiplab.evaluators.cache_dir import cache_dir
from skiplab.evaluators.distance import reference_features
from skiplab.evaluators.evaluator import Trained
from skiplab.training.record import write_atomically

_BLOCK = 4096  # images that are hashed at once


class ReferenceMoments(NamedTuple):
    """Sums over images, in float64.

    mean = total / count,  covariance = (outer - total total^T / count) / (count - 1)
    """

    count: Int[Tensor, ""]
    total: Float[Tensor, " feature"]
    outer: Float[Tensor, "feature feature"]

    @property
    def mean(self) -> Float[Tensor, " feature"]:
        return self.total / self.count

    @property
    def covariance(self) -> Float[Tensor, "feature feature"]:
        return (self.outer - torch.outer(self.total, self.mean)) / (self.count - 1)


def reference_moments(trained: Trained) -> ReferenceMoments:
    """Of all training images, from the cache where it has a sound entry; kept there where it can be written to."""
    path = cache_dir() / "moments" / f"{moments_key(trained)}.safetensors"
    found = _read(path)
    if found is None:
        found = _compute(trained)
        with contextlib.suppress(OSError):  # a cache that can't be written costs time alone
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, _packed(found))
    return ReferenceMoments(*(part.to(trained.device) for part in found))


def moments_key(trained: Trained) -> str:
    """Hash of all that the moments depend on: the images, the extractor, and what it runs on."""
    facts = {
        "data": content_hash(trained.data.train),
        **trained.extractor.facts(),
        "device": trained.device.type,
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def content_hash(split: Split) -> str:
    """Hash of a split's images as they are stored, with their shape and type."""
    digest = hashlib.sha256(f"{tuple(split.stored.shape)} {split.stored.dtype}".encode())
    for part in split.stored.split(_BLOCK):
        digest.update(part.cpu().contiguous().numpy())
    return digest.hexdigest()


def _compute(trained: Trained) -> ReferenceMoments:
    count, total, outer = 0, 0.0, 0.0
    for features in reference_features(trained):
        features = features.double()
        count += len(features)
        total = total + features.sum(dim=0)
        outer = outer + features.T @ features
    return ReferenceMoments(torch.tensor(count), total, outer)


def _packed(moments: ReferenceMoments) -> bytes:
    tensors = {name: part.cpu() for name, part in moments._asdict().items()}
    return save(tensors, metadata={"sha256": _digest(ReferenceMoments(**tensors))})


def _read(path: Path) -> ReferenceMoments | None:
    """An entry of the cache, or None where it is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            found = ReferenceMoments(*(file.get_tensor(name) for name in ReferenceMoments._fields))
            return found if file.metadata()["sha256"] == _digest(found) else None
    except (OSError, SafetensorError, KeyError, TypeError):
        return None


def _digest(moments: ReferenceMoments) -> str:
    digest = hashlib.sha256()
    for part in moments:
        digest.update(part.contiguous().numpy())
    return digest.hexdigest()
