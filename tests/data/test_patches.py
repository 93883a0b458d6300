"""Patches are windows of the two photographs; no pixel lies in both splits."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

from skiplab.data.patches import Patches
from skiplab.errors import SkiplabError

NAMES = ("china.jpg", "flower.jpg")
PIXELS = 427 * 640


def patches(**changed) -> Patches:
    return Patches(**{"size": 16, "num_train": 600, "num_val": 300, "seed": 0} | changed)


def numbered(name: str) -> np.ndarray:
    """A photograph's stand-in whose three bytes number each pixel of both photographs."""
    numbers = np.arange(PIXELS).reshape(427, 640) + PIXELS * NAMES.index(name)
    return np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=2).astype(np.uint8)


def numbers_of(split) -> torch.Tensor:
    red, green, blue = split.stored.long().unbind(1)
    return (red << 16) + (green << 8) + blue


@pytest.fixture(params=[(16, 600, 300), (32, 500, 200), (64, 96, 24)], ids=lambda param: f"size {param[0]}")
def pair(request, monkeypatch: pytest.MonkeyPatch) -> tuple[Patches, Patches]:
    """The data, and the same data with pixels that say where they come from."""
    size, num_train, num_val = request.param
    settings = {"size": size, "num_train": num_train, "num_val": num_val}
    real = patches(**settings)
    monkeypatch.setattr("skiplab.data.patches.read_photograph", numbered)
    return real, patches(**settings)


def test_no_pixel_lies_in_both_splits(pair) -> None:
    train, val = (numbers_of(split).unique() for split in (pair[1].train, pair[1].val))
    assert not set(train.tolist()) & set(val.tolist())


def test_each_patch_is_a_window_of_its_photograph(pair) -> None:
    photographs = torch.from_numpy(np.stack([load_sample_image(name) for name in NAMES]))
    for real, where in ((pair[0].train, pair[1].train), (pair[0].val, pair[1].val)):
        numbers = numbers_of(where)
        assert torch.equal(photographs.view(-1, 3)[numbers].permute(0, 3, 1, 2), real.stored)
        size = real.shape[1]
        steps = torch.arange(size)[:, None] * 640 + torch.arange(size)
        assert torch.equal(numbers, numbers[:, :1, :1] + steps)
        assert torch.equal(numbers[:, 0, 0] // PIXELS, real.labels)


def test_patches_of_a_split_are_distinct(pair) -> None:
    for split in (pair[1].train, pair[1].val):
        assert len(numbers_of(split)[:, 0, 0].unique()) == len(split)


def test_both_photographs_are_drawn_from_alike() -> None:
    shares = patches(num_train=4000).train.labels.double().mean()
    assert abs(shares - 0.5) < 5 * 0.5 / 4000**0.5


def test_bytes_are_kept() -> None:
    data = patches()
    assert (data.train.stored.dtype, data.train.shape, data.num_classes) == (torch.uint8, (3, 16, 16), 2)


def test_patches_depend_on_their_seed_alone() -> None:
    torch.manual_seed(1)
    one = patches()
    torch.manual_seed(2)
    assert torch.equal(one.train.stored, patches().train.stored)
    assert not torch.equal(one.val.stored, patches(seed=1).val.stored)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 0}, "size=0 is invalid; valid: 1 to 64"),
        ({"size": 65}, "size=65 is invalid; valid: 1 to 64"),
        ({"num_train": 0}, "num_train=0 is invalid; valid: 1 to 230496"),
        ({"size": 64, "num_train": 97}, "num_train=97 is invalid; valid: 1 to 96"),
        ({"size": 64, "num_train": 96, "num_val": 25}, "num_val=25 is invalid; valid: 1 to 24"),
    ],
)
def test_refuses_settings_out_of_range(changed: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        patches(**changed)
