"""Features of real and generated images, and the facts that are stated with a distance between them."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.features.reference_cache import cached
from skiplab.evaluators.results.missing import require_finite
from skiplab.seeding import keyed_generator

# Images per forward pass of the extractor; at Inception's 299 pixels, more would need gigabytes.
_BATCH = 128


def reference_features(trained: Trained) -> Iterator[Float[Tensor, "batch feature"]]:
    """Features of all training images, a batch at a time, since a large split doesn't fit into memory."""
    return _features(trained, (batch.images for batch in trained.data.train.batches(_BATCH)))


def reference_subset_features(trained: Trained, count: int) -> Float[Tensor, "image feature"]:
    """Features of a random subset of the training images, or of all if there are no more than `count`.

    The subset is the same for every arm and seed, and is computed once.
    """
    order = torch.randperm(len(trained.data.train), generator=keyed_generator(0, "distance/reference"))
    return reference_features_at(trained, order[:count].sort().values)


def reference_features_at(trained: Trained, positions: Int[Tensor, " image"]) -> Float[Tensor, "image feature"]:
    """Features of the training images at these positions, computed once.

    A split that is mapped from a file is read fastest at sorted positions.
    """
    train = trained.data.train
    which = hashlib.sha256(positions.numpy().data).hexdigest()[:32]

    def compute() -> dict[str, Tensor]:
        return {
            "features": torch.cat(list(_features(trained, (train.at(part).images for part in positions.split(_BATCH)))))
        }

    return cached(trained, f"features_{which}", compute)["features"]


def sample_features(trained: Trained, num_samples: int) -> Float[Tensor, "sample feature"]:
    """Features of samples of the model.

    Raises:
        UnmeasurableError: if samples, or their features, aren't finite numbers.
    """
    samples = require_finite(trained.samples(num_samples), "samples")
    return require_finite(torch.cat(list(_features(trained, samples.split(_BATCH)))), "samples' features")


@torch.no_grad()
def _features(trained: Trained, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    for images in batches:
        yield trained.extractor(images.to(trained.device))


def describe(trained: Trained, samples: Float[Tensor, "sample feature"]) -> dict[str, Any]:
    """How a distance was measured; only scores with equal facts can be compared."""
    num_samples, num_features = samples.shape
    return {
        "num_reference": len(trained.data.train),
        "num_samples": num_samples,
        **trained.extractor.facts(),
        "num_features": num_features,
        "sampler": type(trained.sampler).__name__,
        "sampler_settings": dict(vars(trained.sampler)),
        "num_steps": trained.sampler.num_steps,
        "weights": trained.weights,
    }
