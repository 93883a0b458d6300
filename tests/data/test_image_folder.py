"""A folder of image files: subfolders are classes, files of all kinds are read, each lies in one split."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from published import pictures
from skiplab.cli import main
from skiplab.data.image_folder import ImageFolder
from skiplab.errors import SkiplabError


def image_folder(root: Path, **changed) -> ImageFolder:
    settings = {
        "path": str(root / "images"),
        "size": 8,
        "channels": 3,
        "num_val": 2,
        "split_seed": 0,
        "cache_dir": str(root / "cache"),
        "max_resident_bytes": 10**9,
    }
    return ImageFolder(**settings | changed)


def write(path: Path, picture: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(picture)
    (image.convert(mode) if mode else image).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Nine pictures in three classes, told apart by their upper left pixel."""
    for index, picture in enumerate(pictures(9, (8, 8, 3))):
        picture[0, 0] = index
        write(tmp_path / "images" / ("ant", "bee", "cat")[index % 3] / "more" / f"{index}.png", picture)
    (tmp_path / "images" / "notes").mkdir()
    (tmp_path / "images" / "notes" / "read_me.txt").write_text("no image")
    return tmp_path


def marks(split) -> list[int]:
    """The upper left pixel of each image."""
    return split.stored[:, 0, 0, 0].tolist()


def test_names_of_subfolders_give_the_labels(root: Path) -> None:
    data = image_folder(root)
    assert (data.class_names, data.num_classes) == (("ant", "bee", "cat"), 3)
    for split in (data.train, data.val):
        assert [mark % 3 for mark in marks(split)] == split.labels.tolist()


@pytest.mark.parametrize("resident", [0, 10**9])
def test_each_file_lies_in_one_split(root: Path, resident: int) -> None:
    data = image_folder(root, max_resident_bytes=resident)
    assert (len(data.train), len(data.val), data.val.mapped) == (7, 2, resident == 0)
    assert sorted(marks(data.train) + marks(data.val)) == list(range(9))


def test_the_split_depends_on_its_seed_alone(root: Path) -> None:
    def val(seed: int, cache: str) -> list[int]:
        return marks(image_folder(root, split_seed=seed, cache_dir=str(root / cache)).val)

    assert val(0, "one") == val(0, "two")
    assert len({tuple(val(seed, "one")) for seed in range(5)}) > 1


def test_another_num_val_decodes_nothing_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder(root)
    monkeypatch.setattr("skiplab.data.image_folder.to_pixels", None)
    assert len(image_folder(root, num_val=4).val) == 4


def test_a_changed_file_is_decoded_again(root: Path) -> None:
    image_folder(root)
    write(root / "images/ant/more/0.png", np.full((8, 8, 3), 77, dtype=np.uint8))
    data = image_folder(root)
    assert 77 in marks(data.train) + marks(data.val)


def test_images_without_subfolders_are_one_class(tmp_path: Path) -> None:
    for index, picture in enumerate(pictures(3, (8, 8, 3))):
        write(tmp_path / "images" / f"{index}.png", picture)
    data = image_folder(tmp_path, num_val=1)
    assert (data.class_names, data.train.labels.tolist()) == (("images",), [0, 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_gray_color_palette_and_transparent_files_become_one_shape(tmp_path: Path, channels: int) -> None:
    (picture,) = pictures(1, (20, 14, 3))
    for name, mode in (
        ("a.png", "L"),
        ("b.png", "RGB"),
        ("c.gif", "P"),
        ("d.png", "RGBA"),
        ("e.JPG", "RGB"),
        ("f.png", "1"),
    ):
        write(tmp_path / "images" / name, picture, mode)
    data = image_folder(tmp_path, channels=channels, num_val=1)
    assert data.train.stored.shape == (5, channels, 8, 8)


def test_refuses_a_file_that_is_no_image(root: Path) -> None:
    (root / "images/bee/broken.png").write_bytes(b"a page that says 404")
    with pytest.raises(SkiplabError, match=r"bee/broken.png can't be read as an image"):
        image_folder(root)


def test_refuses_a_file_that_was_cut_off(root: Path) -> None:
    path = root / "images/bee/more/1.png"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(SkiplabError, match=r"bee/more/1.png can't be read as an image"):
        image_folder(root)


def test_hidden_names_are_neither_classes_nor_images(root: Path) -> None:
    expected = marks(image_folder(root).train)
    write(root / "images/.ipynb_checkpoints/0.png", pictures(1, (8, 8))[0])
    write(root / "images/bee/.thumbnails/0.png", pictures(1, (8, 8))[0])
    (root / "images/bee/more/._1.png").write_bytes(b"what a Mac keeps beside a file")
    (root / "images/.loose.png").write_bytes(b"hidden")
    data = image_folder(root)
    assert data.class_names == ("ant", "bee", "cat")
    assert marks(data.train) == expected


def test_refuses_a_link_to_nothing(root: Path) -> None:
    (root / "images/bee/gone.png").symlink_to(root / "gone.png")
    with pytest.raises(SkiplabError, match=r"bee/gone.png is a link to a missing file; repair or remove it"):
        image_folder(root)


@pytest.mark.parametrize("limit", [20, 40])  # of which Pillow raises at twice as many, and warns before
def test_refuses_an_absurdly_large_image(root: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(SkiplabError, match=r"png can't be read as an image .*64 pixels.* limit of 40 pixels"):
        image_folder(root)


def test_refuses_a_scale_that_isnt_clear(root: Path) -> None:
    Image.fromarray(np.full((8, 8), 812, dtype=np.float32)).save(root / "images/bee/deep.tif")
    with pytest.raises(
        SkiplabError,
        match=r"deep.tif can't be read as an image \(its 32-bit .* to 812, but valid values are 0 to 1",
    ):
        image_folder(root)


@pytest.mark.parametrize("error", [ValueError, EOFError, IndexError, ZeroDivisionError])
def test_whatever_pillow_stumbles_over_is_one_sentence(root: Path, error, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(picture, shape):
        raise error("deep inside")

    monkeypatch.setattr("skiplab.data.image_folder.to_pixels", stumble)
    with pytest.raises(SkiplabError, match=r"png can't be read as an image \(deep inside\); repair or remove it"):
        image_folder(root)


def test_copies_are_not_decoded_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = marks(image_folder(root).train)
    shutil.copytree(root / "images", root / "copy", copy_function=shutil.copyfile)  # with times of their own
    monkeypatch.setattr("skiplab.data.image_folder.to_pixels", None)
    assert marks(image_folder(root, path=str(root / "copy")).train) == expected


def test_a_change_that_keeps_size_and_time_is_decoded(root: Path) -> None:
    path = root / "images/ant/more/0.bmp"  # whose size is that of its pixels
    write(path, np.full((8, 8, 3), 77, dtype=np.uint8))
    image_folder(root)
    before = path.stat()
    write(path, np.full((8, 8, 3), 78, dtype=np.uint8))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    data = image_folder(root)
    assert {77, 78} & {*marks(data.train), *marks(data.val)} == {78}


@pytest.mark.parametrize(("count", "expected"), [(2, 1), (9, 1), (10, 2), (30, 6), (1300, 256)])
def test_without_a_number_a_fifth_validates(tmp_path: Path, count: int, expected: int) -> None:
    for index in range(count):
        write(tmp_path / "images" / f"{index}.pgm", np.zeros((1, 1), dtype=np.uint8))
    data = image_folder(tmp_path, num_val=None, size=1, channels=1)
    assert (len(data.val), len(data.train), data.derived) == (expected, count - expected, {"num_val": expected})
    assert image_folder(tmp_path, num_val=1, size=1, channels=1).derived == {}


def test_refuses_images_beside_subfolders(root: Path) -> None:
    write(root / "images/loose.png", pictures(1, (8, 8))[0])
    with pytest.raises(SkiplabError, match=r"folder itself \(loose.png\) and in subfolders \(ant/\)"):
        image_folder(root)


def test_refuses_a_class_without_a_readable_image(root: Path) -> None:
    (root / "images/moth").mkdir()
    (root / "images/moth/1.HEIC").write_bytes(b"heic")
    with pytest.raises(SkiplabError, match=r"moth/1.HEIC isn't read, and moth/ would be no class; valid endings: "):
        image_folder(root)


def test_refuses_splits_as_classes(tmp_path: Path) -> None:
    for name in ("train", "Val"):
        write(tmp_path / "images" / name / "ant" / "1.png", pictures(1, (8, 8))[0])
    with pytest.raises(SkiplabError, match=r"subfolders Val, train, which would be classes; give one of them"):
        image_folder(tmp_path)


def test_refuses_a_single_image(tmp_path: Path) -> None:
    write(tmp_path / "images" / "1.png", pictures(1, (8, 8))[0])
    with pytest.raises(SkiplabError, match=r"has one image; valid: two or more"):
        image_folder(tmp_path, num_val=None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_val": 0}, "num_val=0 is invalid; valid: 1 to 8"),
        ({"num_val": 9}, "num_val=9 is invalid; valid: 1 to 8"),
        ({"size": 0}, "data.size=0, data.channels=3 is invalid"),
        ({"channels": 4}, "data.channels=4 is invalid"),
    ],
)
def test_refuses_settings_out_of_range(root: Path, changed: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        image_folder(root, **changed)


def test_refuses_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(SkiplabError, match=r"images is not a folder; give one with images"):
        image_folder(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(SkiplabError, match="has no images"):
        image_folder(tmp_path)


def test_two_hundred_images_are_trained_without_a_word_about_them(tmp_path: Path, capsys) -> None:
    for index, picture in enumerate(pictures(200, (9, 12, 3))):
        write(tmp_path / "images" / f"{index}.png", picture)
    budget = ["data.size=8", "width=8", "norm.num_groups=4", "depth=4", "trainer.max_steps=2", "sampler.num_steps=2"]
    words = ["data=image_folder", f"data.path={tmp_path / 'images'}", f"run.runs_dir={tmp_path / 'runs'}"]
    main(["train", *words, *budget, "num_samples=20", "logger=none"])
    assert "trained, done" in capsys.readouterr().out
    (path,) = (tmp_path / "runs").glob("*/record.json")
    details = json.loads(path.read_text())["details"]
    assert details["data"] == {"num_val": 40}
    assert details["kernel_distance"]["subset_size"] == 20
    assert (details["frechet_distance"]["extractor"], details["frechet_distance"]["num_reference"]) == ("Raw", 160)
    assert details["denoising_loss"]["num_images"] == 40
