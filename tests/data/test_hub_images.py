"""Data of the hub, read from small files of the published layout: every pixel and label, once decoded, and refusals."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from published import pictures, publish
from skiplab.data.cifar10 import CIFAR10
from skiplab.data.cifar100 import CIFAR100
from skiplab.data.dataset import Split
from skiplab.data.fashion_mnist import FashionMNIST
from skiplab.data.mnist import MNIST
from skiplab.errors import SkiplabError
from skiplab.training.build import build_data
from tiny_trials import compose_config

RESIDENT = 10**9


def cifar10(root: Path, **changed) -> CIFAR10:
    settings = {"path": str(root / "cifar10"), "cache_dir": str(root / "cache"), "max_resident_bytes": RESIDENT}
    return CIFAR10(**settings | changed)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar10" / "plain_text"
    images = pictures(7, (32, 32, 3))
    publish(folder / "train-00000-of-00002.parquet", "img", images[:3], label=[0, 9, 2])
    publish(folder / "train-00001-of-00002.parquet", "img", images[3:5], label=[4, 1])
    publish(folder / "test-00000-of-00001.parquet", "img", images[5:], label=[3, 8])
    return tmp_path


def bytes_of(split: Split) -> np.ndarray:
    """(sample, height, width, channel), back from [-1, 1]."""
    return ((split.at(slice(None)).images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def test_every_pixel_and_label_of_cifar10_is_the_published_one(root: Path) -> None:
    data, images = cifar10(root), np.stack(pictures(7, (32, 32, 3)))
    assert np.array_equal(bytes_of(data.train), images[:5])
    assert np.array_equal(bytes_of(data.val), images[5:])
    assert data.train.labels.tolist() == [0, 9, 2, 4, 1]
    assert data.val.labels.tolist() == [3, 8]
    assert (data.train.shape, data.num_classes) == ((3, 32, 32), 10)
    assert data.train.stored.dtype == torch.uint8


@pytest.mark.parametrize(
    ("label", "num_classes", "expected"), [("fine_label", 100, [99, 0]), ("coarse_label", 20, [19, 7])]
)
def test_cifar100_reads_the_label_that_it_is_asked_for(tmp_path: Path, label, num_classes, expected) -> None:
    for split in ("train", "test"):
        publish(
            tmp_path / "cifar100" / f"{split}-00000-of-00001.parquet",
            "img",
            pictures(2, (32, 32, 3)),
            fine_label=[99, 0],
            coarse_label=[19, 7],
        )
    data = CIFAR100(label=label, path=str(tmp_path), cache_dir=str(tmp_path / "cache"), max_resident_bytes=RESIDENT)
    assert (data.val.labels.tolist(), data.num_classes) == (expected, num_classes)


def test_fashion_mnist_is_gray_and_read_from_folders_named_after_splits(tmp_path: Path) -> None:
    images = pictures(3, (28, 28))
    publish(tmp_path / "fashion_mnist" / "train" / "0000.parquet", "image", images[:2], label=[9, 0])
    publish(tmp_path / "fashion_mnist" / "test" / "0000.parquet", "image", images[2:], label=[5])
    data = FashionMNIST(path=str(tmp_path), cache_dir=str(tmp_path / "cache"), max_resident_bytes=RESIDENT)
    assert data.train.shape == (1, 28, 28)
    assert np.array_equal(bytes_of(data.train)[..., 0], np.stack(images[:2]))
    assert data.val.labels.tolist() == [5]


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Path:
    """The files of the hub's ylecun/mnist, with three images."""
    images = pictures(3, (28, 28))
    publish(tmp_path / "mnist" / "train-00000-of-00001.parquet", "image", images[:2], label=[9, 0])
    publish(tmp_path / "mnist" / "test-00000-of-00001.parquet", "image", images[2:], label=[5])
    return tmp_path


def test_every_pixel_and_label_of_mnist_is_the_published_one(mnist_folder: Path) -> None:
    words = ("data=mnist", f"data.path={mnist_folder}", f"data.cache_dir={mnist_folder}/cache")
    data, images = build_data(compose_config(*words).config), np.stack(pictures(3, (28, 28)))
    assert (data.train.shape, data.num_classes) == ((1, 28, 28), 10)
    assert np.array_equal(bytes_of(data.train)[..., 0], images[:2])
    assert np.array_equal(bytes_of(data.val)[..., 0], images[2:])
    assert (data.train.labels.tolist(), data.val.labels.tolist()) == ([9, 0], [5])


def test_mnist_comes_from_its_place_on_the_hub(compose) -> None:
    assert compose("data=mnist").config.data.path == MNIST.home == "ylecun/mnist"


def test_files_that_dont_describe_their_images_are_read_too(tmp_path: Path) -> None:
    for split in ("train", "test"):
        publish(
            tmp_path / "cifar10" / f"{split}-0.parquet", "img", pictures(2, (32, 32, 3)), described=False, label=[1, 2]
        )
    assert np.array_equal(bytes_of(cifar10(tmp_path).val), np.stack(pictures(2, (32, 32, 3))))


def test_a_second_load_decodes_nothing_and_gives_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cifar10(root)
    monkeypatch.setattr("skiplab.data.hub_images.to_pixels", None)
    monkeypatch.setitem(sys.modules, "datasets", None)  # importing it fails
    second = cifar10(root)
    assert torch.equal(first.train.stored, second.train.stored)
    assert torch.equal(first.train.labels, second.train.labels)


def test_files_that_changed_are_decoded_again(root: Path) -> None:
    cifar10(root)
    publish(
        root / "cifar10" / "plain_text" / "test-00000-of-00001.parquet",
        "img",
        pictures(3, (32, 32, 3)),
        label=[6, 6, 6],
    )
    assert cifar10(root).val.labels.tolist() == [6, 6, 6]


def test_copies_are_not_decoded_again_and_hidden_files_are_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = cifar10(root).train.labels
    shutil.copytree(root / "cifar10", root / "copy", copy_function=shutil.copyfile)  # with times of their own
    (root / "copy" / "plain_text" / "._train-00000-of-00002.parquet").write_bytes(b"hidden")
    (root / "copy" / ".cache" / "train").mkdir(parents=True)
    (root / "copy" / ".cache" / "train" / "0.parquet").write_bytes(b"hidden")
    monkeypatch.setattr("skiplab.data.hub_images.to_pixels", None)
    assert torch.equal(cifar10(root, path=str(root / "copy")).train.labels, expected)


def test_more_bytes_than_may_be_resident_are_mapped_and_equal(root: Path) -> None:
    split_bytes = 5 * 3 * 32 * 32
    resident, mapped = cifar10(root, max_resident_bytes=split_bytes), cifar10(root, max_resident_bytes=split_bytes - 1)
    assert (resident.train.mapped, mapped.train.mapped, mapped.val.mapped) == (False, True, False)
    which = torch.tensor([4, 0])
    assert torch.equal(resident.train.at(which).images, mapped.train.at(which).images)
    assert mapped.train.to("meta").stored is mapped.train.stored


@pytest.mark.parametrize("name", ["nobody/nothing", "/no/such/folder"])
def test_what_cant_be_had_is_named_with_the_address_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import datasets
    import huggingface_hub

    def unreachable(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    monkeypatch.setattr(datasets, "load_dataset", None)  # it would retry for half a minute
    with pytest.raises(SkiplabError) as caught:
        cifar10(tmp_path, path=name)
    for part in (
        f"data.path={name} can't be loaded",
        "ConnectionError: no route",
        "https://huggingface.co/datasets/uoft-cs/cifar10/tree/main",
        "data=cifar10 data.path=FOLDER",
    ):
        assert part in str(caught.value)


def test_a_name_of_the_hub_is_downloaded_once_and_asked_no_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub

    original, asked = datasets.load_dataset, []

    def from_hub(path: str, *, split: str):
        asked.append((path, split))
        return original(
            "parquet",
            data_files=str(root / f"cifar10/plain_text/{split}-*.parquet"),
            split="train",
            cache_dir=str(root / "hub"),
        )

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: None)
    monkeypatch.setattr(datasets, "load_dataset", from_hub)
    for _ in range(2):
        data = cifar10(root, path="uoft-cs/cifar10")
    assert asked == [("uoft-cs/cifar10", "train"), ("uoft-cs/cifar10", "test")]
    assert np.array_equal(bytes_of(data.train), np.stack(pictures(7, (32, 32, 3))[:5]))


def test_refuses_a_folder_without_a_splits_files(root: Path) -> None:
    (root / "cifar10/plain_text/test-00000-of-00001.parquet").unlink()
    with pytest.raises(SkiplabError, match=r"it has no test-\*.parquet and no test/\*.parquet"):
        cifar10(root)


@pytest.mark.parametrize("ending", ["", "-0f3a"])
def test_refuses_a_part_of_a_splits_files(root: Path, ending: str) -> None:
    folder = root / "cifar10/plain_text"
    (folder / "train-00001-of-00002.parquet").unlink()
    (folder / "train-00000-of-00002.parquet").rename(folder / f"train-00000-of-00002{ending}.parquet")
    with pytest.raises(SkiplabError, match=r"of the 2 files of train it lacks 1, the first 00001-of-00002; download"):
        cifar10(root)


def test_refuses_files_of_two_data_sets(root: Path) -> None:
    shutil.copytree(root / "cifar10", root / "cifar10/other")
    with pytest.raises(SkiplabError, match=r"files of train lie in .*other/plain_text and in .*; give one of them"):
        cifar10(root)


def test_refuses_a_file_in_place_of_its_folder(root: Path) -> None:
    with pytest.raises(SkiplabError, match="it is a file, and not the folder of the files"):
        cifar10(root, path=str(root / "cifar10/plain_text/train-00000-of-00002.parquet"))


def test_refuses_files_that_are_no_parquet(root: Path) -> None:
    (root / "cifar10/plain_text/train-00000-of-00002.parquet").write_bytes(b"a page that says 404")
    with pytest.raises(SkiplabError, match="its parquet files can't be read"):
        cifar10(root)


@pytest.mark.parametrize(
    ("column", "size", "labels", "message"),
    [
        ("image", (32, 32, 3), [0], "has no column img in train; it has image, label"),
        ("img", (28, 28, 3), [0], r"has images of \(28, 28\) pixels in train, not \(32, 32\)"),
        ("img", (32, 32, 3), [10], "has labels 10 to 10 in train, not 0 to 9"),
    ],
)
def test_refuses_files_of_another_layout(tmp_path: Path, column, size, labels, message) -> None:
    publish(tmp_path / "cifar10" / "train-0.parquet", column, pictures(1, size), label=labels)
    with pytest.raises(SkiplabError, match=message):
        cifar10(tmp_path)
    assert not list((tmp_path / "cache").glob("*")), "what was refused leaves nothing behind"


def test_refuses_an_image_that_cant_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("published.png", lambda picture: b"no picture")
    publish(tmp_path / "cifar10" / "train-0.parquet", "img", pictures(1, (32, 32, 3)), label=[0])
    with pytest.raises(SkiplabError, match="has an image in train that can't be read"):
        cifar10(tmp_path)
