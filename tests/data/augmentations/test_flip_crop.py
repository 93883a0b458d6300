"""Each image is a window of its padded self, or of its padded mirror image; all windows are equally likely."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from skiplab.data.augmentations.flip_crop import FlipCrop
from skiplab.errors import SkiplabError

SOURCE = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))


def augmented(count: int, *, padding: int = 1, fill: float = 0.0, seed: int = 0) -> torch.Tensor:
    augment = FlipCrop(flip_probability=0.5, padding=padding, fill=fill)
    return augment(SOURCE.expand(count, 2, 4, 6), torch.Generator().manual_seed(seed))


def windows(padding: int, fill: float) -> list[torch.Tensor]:
    """Every image that the augmentation may give of SOURCE, one slice at a time."""
    places = itertools.product((SOURCE, SOURCE.flip(2)), range(2 * padding + 1), range(2 * padding + 1))
    return [F.pad(image, (padding,) * 4, value=fill)[:, top : top + 4, left : left + 6] for image, top, left in places]


@pytest.mark.parametrize(("padding", "fill"), [(1, 0.0), (1, -1.0), (2, 0.5)])
def test_all_windows_come_equally_often_and_nothing_else(padding: int, fill: float) -> None:
    expected, found = windows(padding, fill), augmented(3000, padding=padding, fill=fill)
    counts = torch.stack([(found == window).flatten(1).all(dim=1) for window in expected]).sum(dim=1)
    assert counts.sum() == 3000
    share = 1 / len(expected)
    assert (counts / 3000 - share).abs().max() < 4 * (share * (1 - share) / 3000) ** 0.5


def test_images_of_a_batch_keep_their_order() -> None:
    numbered = torch.arange(50.0).view(50, 1, 1, 1).expand(50, 1, 5, 5)
    found = FlipCrop(flip_probability=0.5, padding=1, fill=0)(numbered, torch.Generator().manual_seed(0))
    assert torch.equal(found[:, 0, 2, 2], torch.arange(50.0))


def test_all_randomness_is_the_generators() -> None:
    torch.manual_seed(1)
    one = augmented(20)
    torch.manual_seed(2)
    assert torch.equal(one, augmented(20))
    assert not torch.equal(one, augmented(20, seed=1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"padding": 0}, "padding=0 is invalid; valid: from 1"),
        ({"fill": -1.5}, "fill=-1.5 is invalid; valid: -1 to 1"),
        ({"flip_probability": 2.0}, "flip_probability=2.0 is invalid; valid: above 0, to 1"),
    ],
)
def test_refuses_settings_out_of_range(changed: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        FlipCrop(**{"flip_probability": 0.5, "padding": 4, "fill": 0.0} | changed)


def test_refuses_points() -> None:
    with pytest.raises(SkiplabError, match="use augmentation=none"):
        FlipCrop(flip_probability=0.5, padding=4, fill=0.0).check((2,))


def test_refuses_to_pad_by_as_much_as_the_image() -> None:
    augment = FlipCrop(flip_probability=0.5, padding=8, fill=0.0)
    with pytest.raises(SkiplabError, match=r"padding=8 is invalid for images of 8x9 pixels; valid: 1 to 7"):
        augment.check((1, 8, 9))
    augment.check((1, 9, 9))
