"""Trained models whose training images and samples are made to order."""

from dataclasses import replace

import torch

from skiplab.data.dataset import Dataset, Split
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.feature_extractors.raw import Raw


def gaussian(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def with_features(trained: Trained, real: torch.Tensor, samples: torch.Tensor) -> Trained:
    """Training images and samples that have these features (image, feature)."""
    data = Dataset()
    data.train = Split(real, torch.zeros(len(real), dtype=torch.long))
    return replace(trained, data=data, make_extractor=Raw, _samples={len(samples): samples})
