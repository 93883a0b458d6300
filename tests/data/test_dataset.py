"""Splits give images in [-1, 1], whatever they are stored as and wherever they lie."""

import torch

from skiplab.data.dataset import Dataset, Split

BYTES = torch.arange(256, dtype=torch.uint8).view(64, 1, 2, 2)
LABELS = torch.arange(64)


def test_bytes_become_images_of_minus_one_to_one() -> None:
    images = Split(BYTES, LABELS).at(slice(None)).images
    expected = torch.linspace(-1, 1, 256, dtype=torch.float64).view(64, 1, 2, 2)
    torch.testing.assert_close(images.double(), expected, rtol=0, atol=1e-6)
    assert (images.dtype, images.min().item(), images.max().item()) == (torch.float32, -1.0, 1.0)


def test_floating_point_images_stay_as_they_are() -> None:
    points = torch.tensor([[3.5, -2.0], [0.1, 0.2]])
    assert torch.equal(Split(points, torch.tensor([0, 1])).at(torch.tensor([1, 0])).images, points.flip(0))


def test_batches_go_through_everything_in_order() -> None:
    split = Split(BYTES, LABELS)
    parts = list(split.batches(30))
    assert [len(part.labels) for part in parts] == [30, 30, 4]
    assert torch.equal(torch.cat([part.labels for part in parts]), LABELS)
    assert torch.equal(torch.cat([part.images for part in parts]), split.at(slice(None)).images)
    assert torch.equal(split.first(3).labels, LABELS[:3])


def test_what_is_mapped_stays_when_the_rest_moves() -> None:
    data = Dataset()
    data.train, data.val = Split(BYTES, LABELS, mapped=True), Split(BYTES, LABELS)
    data.to("meta")
    assert (data.train.stored.device.type, data.val.stored.device.type) == ("cpu", "meta")
    assert data.val.labels.device.type == "meta"
    # what it gives goes to the device all the same
    assert {part.device.type for part in (*data.train.first(2), *data.train.at(torch.tensor([3, 1])))} == {"meta"}
