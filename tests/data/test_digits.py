"""Digits are scikit-learn's, scaled, and split once for all trials."""

import pytest
import torch
from sklearn.datasets import load_digits

from skiplab.data.digits import Digits
from skiplab.data.digits_points import DigitsPoints
from skiplab.errors import SkiplabError


def test_split_is_a_partition_of_all_images() -> None:
    data, source = Digits(num_val=360, split_seed=0), load_digits()
    assert (len(data.train), len(data.val)) == (1437, 360)
    found = sorted(
        (tuple(((image + 1) * 8).flatten().tolist()), int(label))
        for split in (data.train, data.val)
        for image, label in zip(*split.at(slice(None)), strict=True)
    )
    assert found == sorted(
        (tuple(image.flatten().tolist()), int(label)) for image, label in zip(source.images, source.target, strict=True)
    )


def test_pixels_lie_in_the_declared_range() -> None:
    images = Digits(num_val=1, split_seed=0).train.at(slice(None)).images
    assert (images.min().item(), images.max().item()) == (-1.0, 1.0)
    assert images.shape[1:] == (1, 8, 8)
    assert images.dtype == torch.float32


def test_split_depends_on_its_seed_alone() -> None:
    torch.manual_seed(1)
    one = Digits(num_val=360, split_seed=0)
    torch.manual_seed(2)
    assert torch.equal(one.val.stored, Digits(num_val=360, split_seed=0).val.stored)
    assert not torch.equal(one.val.stored, Digits(num_val=360, split_seed=1).val.stored)


@pytest.mark.parametrize("num_val", [0, -1, 1797])
def test_refuses_an_empty_part(num_val: int) -> None:
    with pytest.raises(SkiplabError, match=f"num_val={num_val} is invalid; valid: 1 to 1796"):
        Digits(num_val=num_val, split_seed=0)


def test_points_are_the_images_in_rows():
    images, points = Digits(num_val=360, split_seed=0), DigitsPoints(num_val=360, split_seed=0)
    assert points.val.shape == (64,)
    assert torch.equal(points.train.stored, images.train.stored.flatten(1))
    assert torch.equal(points.val.labels, images.val.labels)
