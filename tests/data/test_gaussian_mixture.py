"""The modes lie on the ring or the grid that is asked for, and points around them."""

import math

import pytest
import torch

from skiplab.data.gaussian_mixture import GaussianMixture
from skiplab.errors import SkiplabError

RING = {
    "layout": "ring",
    "num_modes": 8,
    "extent": 0.9,
    "spread": 0.05,
    "num_train": 8000,
    "num_val": 500,
    "seed": 0,
}
GRID = RING | {"layout": "grid", "num_modes": 9}


def modes(data: GaussianMixture) -> torch.Tensor:
    """The mean of each label's points."""
    points, labels = data.train.at(slice(None))
    return torch.stack([points[labels == label].mean(dim=0) for label in range(data.num_classes)])


def test_modes_of_a_ring() -> None:
    expected = [(0.9 * math.cos(k * math.pi / 4), 0.9 * math.sin(k * math.pi / 4)) for k in range(8)]
    torch.testing.assert_close(modes(GaussianMixture(**RING)), torch.tensor(expected), rtol=0, atol=0.01)


def test_modes_of_a_grid() -> None:
    expected = [(0.9 * x, 0.9 * y) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    torch.testing.assert_close(modes(GaussianMixture(**GRID)), torch.tensor(expected), rtol=0, atol=0.01)


@pytest.mark.parametrize("settings", [RING, GRID], ids=["ring", "grid"])
def test_points_spread_around_their_modes_as_asked(settings: dict) -> None:
    data = GaussianMixture(**settings)
    points, labels = data.train.at(slice(None))
    assert (points - modes(data)[labels]).std().item() == pytest.approx(0.05, rel=0.03)
    assert (data.train.shape, len(data.val), data.num_classes) == ((2,), 500, settings["num_modes"])


def test_points_beyond_the_square_arent_clipped() -> None:
    points = GaussianMixture(**RING | {"extent": 1.0}).train.stored
    assert ((points.abs() > 1.02).double().mean() > 0.05).item()


def test_points_depend_on_their_seed_alone() -> None:
    torch.manual_seed(1)
    one = GaussianMixture(**RING)
    torch.manual_seed(2)
    assert torch.equal(one.train.stored, GaussianMixture(**RING).train.stored)
    assert not torch.equal(one.train.stored, GaussianMixture(**RING | {"seed": 1}).train.stored)
    assert not torch.equal(one.train.stored[:500], one.val.stored)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layout": "line"}, "layout=line is invalid; valid: ring, grid"),
        ({"layout": "grid", "num_modes": 8}, "num_modes=8 is invalid; valid on a grid: 4, 9, 16"),
        ({"layout": "grid", "num_modes": 1}, "num_modes=1 is invalid; valid on a grid: 4, 9, 16"),
        ({"num_modes": 0}, "num_modes=0 is invalid; valid: from 1"),
        ({"num_train": 0}, "num_train=0 is invalid; valid: from 1"),
        ({"num_val": 0}, "num_val=0 is invalid; valid: from 1"),
        ({"extent": 0.0}, "extent=0.0 is invalid; valid: above 0, to 1"),
        ({"extent": 1.1}, "extent=1.1 is invalid; valid: above 0, to 1"),
        ({"spread": 0.0}, "spread=0.0 is invalid; valid: above 0"),
    ],
)
def test_refuses_settings_out_of_range(changed: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        GaussianMixture(**RING | changed)
