"""The data themselves as features."""

import hashlib

import torch

from skiplab.evaluators.feature_extractors.raw import Raw


def test_features_are_the_values_in_order() -> None:
    images = torch.arange(24.0).view(2, 3, 2, 2)
    assert Raw()(images).tolist() == [list(range(12)), list(range(12, 24))]


def test_takes_any_shape_points_above_all() -> None:
    for shape in ((2,), (1, 8, 8), (3, 4, 4, 4)):
        Raw().check(shape)
    points = torch.tensor([[0.25, -2.0]])
    assert torch.equal(Raw()(points), points)


def test_hash_is_that_of_its_name() -> None:
    assert Raw().facts() == {
        "extractor": "Raw",
        "extractor_sha256": hashlib.sha256(b"raw").hexdigest(),
        "resize": None,
    }
