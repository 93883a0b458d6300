"""Data that `skiplab.study` is given as arrays, tensors, data sets and data modules."""

import re
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

import skiplab
from skiplab.data.arrays import Arrays
from skiplab.errors import SkiplabError
from skiplab.factory_study.given_data import keep_data
from test_factory_study import SHORT, make

BYTES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
LABELS = np.arange(24) % 3
IMAGES = torch.from_numpy(BYTES)[:, None].float() / 127.5 - 1


def kept(data: object, folder: Path, num_val: int | None = None) -> Arrays:
    return Arrays(path=str(keep_data(data, folder)), num_val=num_val, split_seed=0)  # pyright: ignore[reportArgumentType]


class Module(pl.LightningDataModule):
    """Shuffled for training, as most are."""

    def setup(self, stage: str) -> None:
        self.whole = TensorDataset(IMAGES, torch.from_numpy(LABELS))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(torch.utils.data.Subset(self.whole, range(20)), 4, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(torch.utils.data.Subset(self.whole, range(20, 24)), 4)


def hub_table(pictures: list[Image.Image]):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=3)})
    return datasets.Dataset.from_dict({"image": pictures, "label": LABELS[: len(pictures)]}, features=features)


def in_both(data: Arrays) -> tuple[torch.Tensor, torch.Tensor]:
    """All images and labels, in the order of the given ones."""
    images = torch.cat([split.first(99).images for split in (data.train, data.val)])
    labels = torch.cat([split.labels for split in (data.train, data.val)])
    order = [int((images == image).flatten(1).all(1).nonzero()[0]) for image in IMAGES]
    return images[order], labels[order]


FORMS = {
    "arrays of bytes": lambda: (BYTES, LABELS),
    "channels last": lambda: (BYTES[..., None], LABELS),
    "tensors": lambda: (IMAGES, torch.from_numpy(LABELS)),
    "double precision": lambda: (IMAGES.double(), LABELS),
    "two splits": lambda: {"train": (IMAGES[:20], LABELS[:20]), "test": (IMAGES[20:], LABELS[20:])},
    "hub": lambda: hub_table([Image.fromarray(each) for each in BYTES]),
    "hub, two splits": lambda: {
        "train": hub_table([Image.fromarray(each) for each in BYTES]).select(range(20)),
        "validation": hub_table([Image.fromarray(each) for each in BYTES]).select(range(20, 24)),
    },
    "data set": lambda: TensorDataset(IMAGES, torch.from_numpy(LABELS)),
    "data module": Module,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_images(form: str, tmp_path: Path) -> None:
    found = kept(FORMS[form](), tmp_path)
    images, labels = in_both(found)
    assert torch.equal(images, IMAGES)
    assert labels.tolist() == LABELS.tolist()
    assert (found.num_classes, len(found.val), found.train.shape) == (3, 4, (1, 8, 8))
    given = "splits" in form or form == "data module"
    assert found.derived == ({} if given else {"num_val": 4})
    assert not given or {*map(hashed, found.val.first(4).images)} == {*map(hashed, IMAGES[20:])}


def hashed(image: torch.Tensor) -> bytes:
    return image.numpy().tobytes()


def test_images_that_come_class_by_class_are_shuffled_in_each_split(tmp_path: Path) -> None:
    images, labels = BYTES.repeat(10, axis=0), np.arange(240) // 120
    found = kept({"train": (images, labels), "val": (images, labels)}, tmp_path)
    for split in (found.train, found.val):
        assert {*split.first(20).labels.tolist()} == {0, 1}
        assert sorted(map(hashed, split.first(240).images)) == sorted(map(hashed, IMAGES.repeat(10, 1, 1, 1)))


def test_a_file_is_named_by_what_it_holds(tmp_path: Path) -> None:
    first, again = keep_data(BYTES, tmp_path), keep_data(torch.from_numpy(BYTES), tmp_path)
    assert first == again
    assert keep_data(BYTES[::-1].copy(), tmp_path) != first
    points = kept(np.random.default_rng(0).normal(size=(10, 2)) * 9, tmp_path)
    assert (points.train.shape, points.num_classes) == ((2,), 1)


class Random(Dataset):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.rand(1, 8, 8) * 2 - 1


WRONG = {
    "class": (lambda: Module, "data is the class Module; give an object of it, Module(...)"),
    "list": (lambda: [1, 2], "data is a builtins.list; valid: an option of the axis data such as 'digits'; images"),
    "from 0": (lambda: IMAGES / 2 + 0.5, "images ranges from 0 to 1, so black may be 0 or -1; valid: floating point"),
    "range": (lambda: IMAGES * 3, "images ranges from -3 to 3; valid: floating point of -1 to 1, or bytes"),
    "nan": (lambda: IMAGES * float("nan"), "images has values that are not finite"),
    "integers": (lambda: BYTES.astype(int), "images holds int64; valid: bytes (uint8)"),
    "one image": (lambda: BYTES[0, 0], "images has the shape (8,); valid: (sample, channel, height, width)"),
    "transparency": (
        lambda: BYTES[:, :, :, None].repeat(4, axis=3),
        "images has the shape (24, 8, 8, 4), which reads as images of 4 channels that come last; valid there: 1 (gray)",
    ),
    "labels": (lambda: (BYTES, LABELS[1:]), "labels is an array (23,) of int64; valid: a whole number from 0"),
    "no train": (lambda: {"test": BYTES}, "data has the splits test; valid: train, and val"),
    "two shapes": (lambda: {"train": BYTES, "val": BYTES[:, 1:]}, "train_images and val_images are (1, 7, 8) of uint8"),
    "random": (Random, "data gives another image each time"),
    "oblong": (lambda: hub_table([Image.new("L", (8, 6))]), "data has a picture of 8 x 6 pixels; valid: square ones"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_data_are_refused_in_a_sentence(what: str, tmp_path: Path) -> None:
    make_data, sentence = WRONG[what]
    with pytest.raises(SkiplabError, match=re.escape(sentence)):
        keep_data(make_data(), tmp_path)  # pyright: ignore[reportArgumentType]
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", pictures=BYTES)
    np.savez(tmp_path / "split.npz", train_images=BYTES, val_images=BYTES)
    for name, num_val, sentence in (
        ("text.npz", None, "can't be read as arrays"),
        ("none.npz", None, "is not there; give a file that numpy.savez wrote"),
        ("other.npz", None, "the data have an array 'pictures'; valid: images, labels"),
        ("split.npz", 3, "data.num_val=3 with data.path="),
    ):
        with pytest.raises(SkiplabError, match=re.escape(sentence)):
            Arrays(path=str(tmp_path / name), num_val=num_val, split_seed=0)


def test_a_study_trains_on_arrays_and_knows_them_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"factors": {"connection": ["identity"]}, "seeds": [0], "runs_dir": tmp_path / "runs", "name": "own"}
    settings = {**SHORT, "depth": 1, "batch_size": 8}
    found = skiplab.study(make, (BYTES, LABELS), **asked, settings=settings)
    assert set(found.trials["status"]) == {"done"}
    assert found.constants["data"] == "arrays"
    capsys.readouterr()
    skiplab.study(make, (BYTES.copy(), torch.from_numpy(LABELS)), **asked, settings=settings)
    assert "1 already done" in capsys.readouterr().out
    loaded = skiplab.load(tmp_path / "runs" / found.trials["key"].item(), trust=True)
    assert torch.equal(in_both(loaded.data)[0], IMAGES)
