"""Faces are cropped to their central square and resized; an attribute is the label; the test split is left alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from published import pictures, publish
from skiplab.data.celeba import CelebA
from skiplab.errors import SkiplabError

FACES = pictures(5, (218, 178, 3))


@pytest.fixture
def settings(tmp_path: Path) -> dict:
    folder = tmp_path / "celeba" / "img_align+identity+attr"
    attributes = {"celeb_id": [1, 2, 3], "Smiling": [True, False, True], "Male": [False, False, True]}
    publish(folder / "train-00000-of-00001.parquet", "image", FACES[:3], **attributes)
    first = {name: values[:1] for name, values in attributes.items()}
    publish(folder / "valid-00000-of-00001.parquet", "image", FACES[3:4], **first)
    publish(folder / "test-00000-of-00001.parquet", "image", FACES[4:], **first)
    return {"path": str(folder.parent), "cache_dir": str(tmp_path / "cache"), "max_resident_bytes": 10**9}


def test_at_full_size_the_central_square_is_kept_as_it_is(settings: dict) -> None:
    data = CelebA(size=178, label="Smiling", **settings)
    assert np.array_equal(data.train.stored.numpy(), np.stack(FACES[:3])[:, 20:198].transpose(0, 3, 1, 2))
    assert np.array_equal(data.val.stored.numpy(), np.stack(FACES[3:4])[:, 20:198].transpose(0, 3, 1, 2))


def test_smaller_ones_are_the_same_square_resized(settings: dict) -> None:
    data = CelebA(size=16, label="Smiling", **settings)
    expected = np.asarray(Image.fromarray(FACES[0][20:198]).resize((16, 16), Image.Resampling.BICUBIC))
    assert np.array_equal(data.train.stored[0].numpy(), expected.transpose(2, 0, 1))


@pytest.mark.parametrize(("label", "expected"), [("Smiling", [1, 0, 1]), ("Male", [0, 0, 1])])
def test_the_label_is_the_attribute_that_is_asked_for(settings: dict, label: str, expected: list[int]) -> None:
    data = CelebA(size=8, label=label, **settings)
    assert (data.train.labels.tolist(), data.num_classes) == (expected, 2)


def test_refuses_an_attribute_that_there_is_none_of(settings: dict) -> None:
    with pytest.raises(SkiplabError, match="has no column Wise in train; it has image, celeb_id, Smiling, Male"):
        CelebA(size=8, label="Wise", **settings)


def test_refuses_an_identity_as_the_label(settings: dict) -> None:
    with pytest.raises(SkiplabError, match="has labels 1 to 3 in train, not 0 to 1"):
        CelebA(size=8, label="celeb_id", **settings)


@pytest.mark.parametrize("size", [7, 179])
def test_refuses_a_size_out_of_range(settings: dict, size: int) -> None:
    with pytest.raises(SkiplabError, match=f"size={size} is invalid; valid: 8 to 178"):
        CelebA(size=size, label="Smiling", **settings)
