"""Each image is mirrored or not, by the generator alone."""

import pytest
import torch

from skiplab.data.augmentations.flip import Flip
from skiplab.errors import SkiplabError

IMAGES = torch.randn(400, 3, 4, 6, generator=torch.Generator().manual_seed(0))


def flipped(probability: float = 0.5, seed: int = 0, images: torch.Tensor = IMAGES) -> torch.Tensor:
    return Flip(flip_probability=probability)(images, torch.Generator().manual_seed(seed))


def mirrored(image: torch.Tensor) -> torch.Tensor:
    """Column by column."""
    return torch.stack([image[:, :, column] for column in reversed(range(image.shape[2]))], dim=2)


@pytest.mark.parametrize("probability", [0.2, 0.5, 1.0])
def test_each_image_is_itself_or_mirrored_as_often_as_asked(probability: float) -> None:
    found = flipped(probability)
    chosen = [torch.equal(image, mirrored(source)) for image, source in zip(found, IMAGES, strict=True)]
    assert all(flip or torch.equal(image, source) for flip, image, source in zip(chosen, found, IMAGES, strict=True))
    assert sum(chosen) / 400 == pytest.approx(probability, abs=4 * (probability * (1 - probability) / 400) ** 0.5)


def test_all_randomness_is_the_generators() -> None:
    torch.manual_seed(1)
    one = flipped()
    torch.manual_seed(2)
    assert torch.equal(one, flipped())
    assert not torch.equal(one, flipped(seed=1))


def test_the_batch_itself_stays_as_it_was() -> None:
    before = IMAGES.clone()
    flipped(1.0)
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.1])
def test_refuses_a_probability_out_of_range(probability: float) -> None:
    with pytest.raises(SkiplabError, match=f"flip_probability={probability} is invalid; valid: above 0, to 1"):
        Flip(flip_probability=probability)


@pytest.mark.parametrize("shape", [(2,), (3, 5)])
def test_refuses_what_has_no_left_and_right(shape: tuple[int, ...]) -> None:
    with pytest.raises(SkiplabError, match="use augmentation=none"):
        Flip(flip_probability=0.5).check(shape)
    with pytest.raises(SkiplabError, match="use augmentation=none"):
        flipped(images=torch.zeros(4, *shape))
