"""The picture shows the samples as they are, and two arms start them from the same noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError
from skiplab.evaluators import evaluator
from skiplab.evaluators.results.scatter_plot import draw_points
from skiplab.evaluators.sample_grid import SampleGrid


def test_places_each_image_in_its_cell() -> None:
    images = torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 1, 2, 2)
    picture = np.asarray(SampleGrid(num_samples=6, rows=2, columns=3, pixel_size=2).draw(images))
    side = 2 * 2 + 2  # pixels of an image and its border
    assert picture.shape == (2 * side, 3 * side)
    for index, value in enumerate([0, 51, 102, 153, 204, 255]):
        row, column = divmod(index, 3)
        cell = picture[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert (cell[1:-1, 1:-1] == value).all()
        assert (cell[0] == 128).all()


def test_clips_what_lies_outside_the_data_and_keeps_color() -> None:
    images = torch.tensor([-3.0, 0.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    picture = np.asarray(SampleGrid(num_samples=1, rows=1, columns=1, pixel_size=1).draw(images))
    assert picture[2, 2].tolist() == [0, 128, 255]


def test_two_arms_start_from_the_same_noise(trained) -> None:
    class Silent(torch.nn.Module):
        """Predicts no noise, so that samples are the noise that they start from, scaled and clipped."""

        def forward(self, x, level, labels):
            return torch.zeros_like(x)

    arms = [replace(trained, model=Silent(), _samples={}) for _ in range(2)]
    torch.manual_seed(1)
    one = arms[0].samples(5)
    torch.manual_seed(2)
    assert torch.equal(one, arms[1].samples(5))
    other_seed = replace(trained, model=Silent(), seed=trained.seed + 1, _samples={})
    assert not torch.equal(one, other_seed.samples(5))


def test_samples_start_from_the_same_noise_however_many_are_drawn_at_once(trained, monkeypatch) -> None:
    whole = replace(trained, _samples={}).samples(64)
    monkeypatch.setattr(evaluator, "inputs_per_call", lambda device, shape: 32)
    assert torch.allclose(replace(trained, _samples={}).samples(64), whole, atol=1e-5)


def test_samples_of_told_classes_stand_in_the_order_of_their_classes(trained, monkeypatch) -> None:
    """Sample i is as gray as its label, and the first four of five are shown."""
    labels = torch.tensor([2, 0, 1, 0, 1])
    made = replace(trained, _samples={5: (labels / 2 * 2 - 1).view(5, 1, 1, 1).expand(5, 1, 2, 2)})
    monkeypatch.setattr(type(made), "sample_labels", lambda self, count: labels)
    grid = SampleGrid(num_samples=5, rows=1, columns=4, pixel_size=1)
    shown = {}
    for classes in (0, 3):
        monkeypatch.setattr(type(made.objective), "num_labels", classes)
        result = grid.evaluate(made)
        assert result.details == ({"labels": [0, 0, 1, 2]} if classes else {})
        picture = np.asarray(result.pictures["samples"])
        shown[classes] = [picture[1, 4 * place + 1] for place in range(4)]
    assert shown == {0: [255, 0, 128, 0], 3: [0, 0, 128, 255]}


def test_as_many_training_images_stand_beside_the_samples(trained) -> None:
    images = torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 1, 2, 2)
    data = Dataset()
    data.train = Split(images.contiguous(), torch.zeros(6))
    made = replace(trained, data=data, _samples={3: torch.zeros(3, 1, 2, 2)})
    pictures = SampleGrid(num_samples=3, rows=1, columns=4, pixel_size=1).evaluate(made).pictures
    assert pictures.keys() == {"samples", "real_images"}
    real = np.asarray(pictures["real_images"])
    assert real.shape == np.asarray(pictures["samples"]).shape == (4, 3 * 4)
    assert [real[1, 4 * place + 1] for place in range(3)] == [0, 51, 102]


def has(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Where a picture is close to a color."""
    return (np.abs(picture.astype(int) - color) < 30).all(axis=2)


def test_points_are_drawn_in_color_over_the_training_points_in_gray(trained) -> None:
    """Training points in the four corners of the unit square, samples in the middle and far outside."""
    data = Dataset()
    data.train = Split(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.zeros(4))
    samples = torch.tensor([[0.5, 0.5]] * 7 + [[9.0, 0.5]])
    made = replace(trained, data=data, _samples={8: samples})
    grid = SampleGrid(num_samples=8, rows=1, columns=1, pixel_size=1)
    grid.check(trained.objective, data, "sample_grid")
    picture = np.asarray(grid.evaluate(made).pictures["samples"])
    rows, columns = np.nonzero(has(picture, (0, 114, 178)))
    gray = np.nonzero(has(picture, (192, 192, 192))[40:-40, 40:-40])
    assert 3 < len(rows) < 200  # one spot
    assert abs(rows.mean() - picture.shape[0] / 2) < 40
    assert abs(columns.mean() - picture.shape[1] / 2) < 40
    assert len(gray[0]) > 20


def test_points_are_framed_alike_whatever_the_samples(trained) -> None:
    reference = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    pictures = [np.asarray(draw_points(reference, torch.full((3, 2), where))) for where in (50.0, -50.0, float("nan"))]
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize("shape", [(3,), (2, 8, 8), (1, 4, 4, 4)])
def test_refuses_data_that_it_cannot_show(trained, shape) -> None:
    data = Dataset()
    data.train = Split(torch.zeros(4, *shape), torch.zeros(4))
    with pytest.raises(SkiplabError, match="remove sample_grid from evaluator"):
        SampleGrid(num_samples=4, rows=1, columns=1, pixel_size=1).check(trained.objective, data, "sample_grid")


@pytest.mark.parametrize(("count", "height", "width"), [(5, 2, 3), (6, 2, 3), (3, 1, 3), (2, 1, 2)])
def test_fewer_samples_than_cells_are_shown_all(count: int, height: int, width: int) -> None:
    grid = SampleGrid(num_samples=count, rows=2, columns=3, pixel_size=1)
    picture = np.asarray(grid.draw(torch.ones(count, 1, 2, 2)))
    assert picture.shape == (4 * height, 4 * width)
    white = [(picture[4 * row :, 4 * column :][1:3, 1:3] == 255).all() for row, column in np.ndindex(height, width)]
    assert white == [index < count for index in range(height * width)]
    assert (picture == 255).sum() == 4 * count


@pytest.mark.parametrize(("rows", "columns", "pixel_size", "num_samples"), [(0, 1, 1, 8), (2, 2, 0, 8), (2, 2, 1, 0)])
def test_refuses_a_grid_of_nothing(rows: int, columns: int, pixel_size: int, num_samples: int) -> None:
    with pytest.raises(SkiplabError, match=f"rows={rows}, columns={columns}.*num_samples={num_samples} is invalid"):
        SampleGrid(num_samples=num_samples, rows=rows, columns=columns, pixel_size=pixel_size)
