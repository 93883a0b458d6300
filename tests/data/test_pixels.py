"""Pictures of every kind become bytes of one shape, by rules that are stated."""

import numpy as np
import pytest
from PIL import Image

from skiplab.data.pixels import to_pixels

GREY = np.random.default_rng(0).integers(0, 256, (6, 6), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 6, 3), dtype=np.uint8)


def test_rgb_of_the_right_size_is_untouched() -> None:
    assert np.array_equal(to_pixels(Image.fromarray(COLOUR), (3, 6, 6)), COLOUR.transpose(2, 0, 1))


def test_gray_is_one_channel_or_three_equal_ones() -> None:
    picture = Image.fromarray(GREY)
    assert np.array_equal(to_pixels(picture, (1, 6, 6)), GREY[None])
    assert np.array_equal(to_pixels(picture, (3, 6, 6)), np.stack([GREY] * 3))


def test_rgb_as_one_channel_is_luma() -> None:
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(to_pixels(Image.fromarray(COLOUR), (1, 6, 6))[0] - luma).max() <= 1


def test_palettes_are_looked_up() -> None:
    picture = Image.fromarray(GREY % 3).convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    assert np.array_equal(to_pixels(picture, (3, 6, 6)).transpose(1, 2, 0), np.eye(3, dtype=np.uint8)[GREY % 3] * 255)


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_what_is_transparent_lies_on_black(alpha: int) -> None:
    picture = Image.fromarray(COLOUR)
    picture.putalpha(alpha)
    expected = COLOUR.transpose(2, 0, 1) * (alpha / 255)
    assert np.abs(to_pixels(picture, (3, 6, 6)) - expected).max() <= 1


def test_deep_grays_keep_their_upper_byte() -> None:
    deep = GREY.astype(np.uint16) * 256 + 17
    assert np.array_equal(to_pixels(Image.fromarray(deep), (1, 6, 6))[0], GREY)


def test_a_turned_camera_is_turned_back() -> None:
    picture = Image.fromarray(COLOUR)
    picture.getexif()[0x0112] = 6  # held a quarter turn to the left: to be shown turned to the right
    assert np.array_equal(to_pixels(picture, (3, 6, 6)), np.rot90(COLOUR, -1).transpose(2, 0, 1))


@pytest.mark.parametrize(("height", "width", "top", "left"), [(6, 10, 0, 2), (9, 6, 1, 0)])
def test_the_central_square_is_kept(height: int, width: int, top: int, left: int) -> None:
    whole = np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = whole[top : top + 6, left : left + 6]
    assert np.array_equal(to_pixels(Image.fromarray(whole), (3, 6, 6)), expected.transpose(2, 0, 1))


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    small = to_pixels(Image.fromarray(board.astype(np.uint8)), (1, 8, 8)).astype(int)
    assert np.abs(small - 127.5).max() < 5


GRADIENT = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(
    ("ending", "values"),
    [
        ("tif", GRADIENT),
        ("tif", GRADIENT.astype(np.uint16) * 257),
        ("tif", GRADIENT.astype(">u2") * np.array(257, dtype=">u2")),
        ("tif", GRADIENT.astype(np.int32)),
        ("tif", GRADIENT.astype(np.float32) / 255),
        ("png", GRADIENT.astype(np.uint16) * 257),
        ("pgm", GRADIENT.astype(np.int32) * 257),
    ],
    ids=lambda value: f"{value.dtype.str}" if isinstance(value, np.ndarray) else value,
)
def test_a_gradient_of_any_depth_gives_the_bytes_of_its_twin(tmp_path, ending: str, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / f"gradient.{ending}")
    with Image.open(tmp_path / f"gradient.{ending}") as picture:
        assert np.array_equal(to_pixels(picture, (1, 16, 16))[0], GRADIENT)
    with Image.open(tmp_path / f"gradient.{ending}") as picture:
        assert np.array_equal(to_pixels(picture, (3, 16, 16)), np.stack([GRADIENT] * 3))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (GRADIENT.astype(np.float32), "from 0 to 255, but valid values are 0 to 1"),
        (GRADIENT.astype(np.float32) / 255 - 0.5, "from -0.5 to 0.5, but valid values are 0 to 1"),
        (np.where(GRADIENT > 7, np.nan, 0).astype(np.float32), "from nan to nan, but valid values are 0 to 1"),
        (GRADIENT.astype(np.int32) * 257, "from 0 to 65535, but valid values are 0 to 255"),
        (GRADIENT.astype(np.int32) - 9, "from -9 to 246, but valid values are 0 to 255"),
    ],
)
def test_values_without_a_clear_scale_are_refused(values: np.ndarray, found: str) -> None:
    with pytest.raises(ValueError, match=f"range {found}; save it with 8 or 16 bits"):
        to_pixels(Image.fromarray(values), (1, 16, 16))
