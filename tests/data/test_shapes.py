"""Shapes are drawn where, as large and as colored as their factors say."""

import colorsys
import math

import numpy as np
import pytest
import torch

from skiplab.data.shapes import Factors, Shapes, draw_factors, render
from skiplab.errors import SkiplabError

SIZE = 32
FINE = 16  # points a pixel's side in the slow reference


def shapes(**changed) -> Shapes:
    return Shapes(**{"size": 16, "num_train": 500, "num_val": 100, "seed": 0} | changed)


def inside(shape: int, x: float, y: float) -> bool:
    """Whether a point lies in a shape of radius 1 at the origin, from the shapes' geometry; y points down."""
    half = math.sqrt(0.5)
    if shape == 0:
        return math.hypot(x, y) <= 1
    if shape == 1:
        return max(abs(x), abs(y)) <= half
    if shape == 2:  # corners at (0, -1) and (+-sqrt(3)/2, 1/2)
        return -1 <= y <= 0.5 and abs(x) <= (y + 1) / math.sqrt(3)
    if shape == 3:
        return min(abs(x), abs(y)) <= 0.35 and max(abs(x), abs(y)) <= math.sqrt(1 - 0.35**2)
    return 0.5 <= math.hypot(x, y) <= 1


AREAS = (math.pi, 2, 3 * math.sqrt(3) / 4, 4 * 0.35 * (2 * math.sqrt(1 - 0.35**2) - 0.35), math.pi * 0.75)


def white_on_black(shape: int, x: float, y: float, radius: float) -> np.ndarray:
    """Coverage as it was drawn: red has a channel of 1, on black."""
    values = (0.0, x, y, radius, 0.0)
    factors = Factors(torch.tensor([shape]), *(torch.tensor([value]) for value in values))
    return render(factors, SIZE)[0, 0].numpy() / 255


@pytest.mark.parametrize("shape", range(5))
def test_coverage_is_the_share_of_a_pixel_inside(shape: int) -> None:
    x, y, radius = 0.47, 0.54, 0.31
    points = (np.arange(SIZE * FINE) + 0.5) / (SIZE * FINE)
    slow = np.array([[inside(shape, (px - x) / radius, (py - y) / radius) for px in points] for py in points])
    slow = slow.reshape(SIZE, FINE, SIZE, FINE).mean(axis=(1, 3))
    difference = np.abs(white_on_black(shape, x, y, radius) - slow)
    assert difference.max() < 0.25  # at corners
    assert np.sort(difference.ravel())[-20:].mean() < 0.08
    assert difference.mean() < 0.002


@pytest.mark.parametrize("shape", range(5))
def test_area_is_the_shapes_wherever_it_lies(shape: int) -> None:
    drawn = draw_factors(200, torch.Generator().manual_seed(0))
    black = torch.zeros(200)
    images = render(drawn._replace(shape=torch.full((200,), shape), hue=black, background=black), SIZE)
    areas = images[:, 0].double().div(255).sum(dim=(1, 2)) / (SIZE * drawn.radius.double()) ** 2
    assert areas.mean().item() == pytest.approx(AREAS[shape], rel=0.005)
    assert (areas / AREAS[shape] - 1).abs().max() < 0.02


def test_colors_are_the_factors() -> None:
    count = 50
    drawn = draw_factors(count, torch.Generator().manual_seed(0))
    centered = drawn._replace(
        shape=torch.zeros(count, dtype=torch.long),
        x=torch.full((count,), 0.5),
        y=torch.full((count,), 0.5),
        radius=torch.full((count,), 0.4),
    )
    images = render(centered, SIZE).double() / 255
    expected = torch.tensor([colorsys.hsv_to_rgb(hue, 1, 1) for hue in drawn.hue.tolist()], dtype=torch.float64)
    torch.testing.assert_close(images[:, :, SIZE // 2, SIZE // 2], expected, rtol=0, atol=0.5 / 255 + 1e-6)
    gray = drawn.background.double()[:, None].expand(-1, 3)
    torch.testing.assert_close(images[:, :, 0, 0], gray, rtol=0, atol=0.5 / 255 + 1e-6)


def test_factors_keep_their_ranges_and_the_shape_inside_the_image() -> None:
    factors = draw_factors(20_000, torch.Generator().manual_seed(0))
    ranges = {"hue": (0, 1), "radius": (0.2, 0.4), "background": (0, 0.5)}
    for name, (low, high) in ranges.items():
        values = getattr(factors, name)
        width = high - low
        assert low <= values.min() < low + 0.01 * width
        assert high - 0.01 * width < values.max() <= high
    for center in (factors.x, factors.y):
        assert (center - factors.radius).min() >= -1e-6
        assert (center + factors.radius).max() <= 1 + 1e-6
    assert torch.bincount(factors.shape, minlength=5).div(20_000).sub(0.2).abs().max() < 5 * 0.4 / 20_000**0.5


def test_images_are_drawn_from_the_factors_that_are_kept() -> None:
    data = shapes()
    assert torch.equal(data.train.stored, render(data.train_factors, 16))
    assert torch.equal(data.val.labels, data.val_factors.shape)
    assert not torch.equal(data.train_factors.hue[:100], data.val_factors.hue)
    assert (data.train.stored.dtype, data.train.shape, data.num_classes) == (torch.uint8, (3, 16, 16), 5)


def test_an_image_doesnt_depend_on_its_neighbors() -> None:
    factors = draw_factors(2500, torch.Generator().manual_seed(0))
    one = Factors(*(factor[2400:2401] for factor in factors))
    assert torch.equal(render(factors, 16)[2400:2401], render(one, 16))


def test_images_depend_on_their_seed_alone() -> None:
    torch.manual_seed(1)
    one = shapes()
    torch.manual_seed(2)
    assert torch.equal(one.train.stored, shapes().train.stored)
    assert not torch.equal(one.train.stored, shapes(seed=1).train.stored)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 7}, "size=7 is invalid; valid: from 8"),
        ({"num_train": 0}, "num_train=0 is invalid; valid: from 1"),
        ({"num_val": -1}, "num_val=-1 is invalid; valid: from 1"),
    ],
)
def test_refuses_settings_out_of_range(changed: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        shapes(**changed)
