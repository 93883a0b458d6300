"""A cache entry is whole, or it isn't there: damage of any part is noticed and mended."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from skiplab.data.decoded_cache import DecodedCache, Decoding, checksum
from skiplab.errors import SkiplabError

SHAPE = (3, 4, 4)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
LABELS = np.array([2, 0, 1, 1, 2])


class Source:
    """Decodes the same five images, in two batches, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Decoding:
        self.asked += 1
        return Decoding(5, [(IMAGES[:3], LABELS[:3]), (IMAGES[3:], LABELS[3:])])


def load(folder: Path, source: Source, *, resident: int = 10**6, facts: dict | None = None):
    cache = DecodedCache(str(folder), max_resident_bytes=resident)
    return cache.split({"option": "some", **(facts or {})}, SHAPE, source)


def entry_file(folder: Path, name: str) -> Path:
    (entry,) = folder.glob("some-*")
    return entry / name


def damage_one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "entry.json"])
@pytest.mark.parametrize("damage", [truncate, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("resident", [0, 10**6])
def test_a_broken_entry_is_decoded_again(tmp_path: Path, name: str, damage, resident: int) -> None:
    source = Source()
    load(tmp_path, source, resident=resident)
    damage(entry_file(tmp_path, name))
    split = load(tmp_path, source, resident=resident)
    assert source.asked == 2
    assert np.array_equal(split.stored.numpy(), IMAGES)
    assert split.labels.tolist() == LABELS.tolist()
    assert load(tmp_path, source, resident=resident).mapped == (resident == 0)
    assert source.asked == 2
    assert [path.name for path in tmp_path.iterdir()] == [entry_file(tmp_path, "").name]


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
def test_one_changed_bit_is_noticed_in_memory(tmp_path: Path, name: str) -> None:
    source = Source()
    load(tmp_path, source)
    damage_one_byte(entry_file(tmp_path, name))
    assert np.array_equal(load(tmp_path, source).stored.numpy(), IMAGES)
    assert source.asked == 2


def test_facts_and_shape_tell_entries_apart(tmp_path: Path) -> None:
    source = Source()
    for facts in ({"split": "train"}, {"split": "val"}, {"split": "train"}):
        load(tmp_path, source, facts=facts)
    assert source.asked == 2
    with pytest.raises(ValueError, match="could not broadcast"):
        DecodedCache(str(tmp_path), max_resident_bytes=0).split({"option": "some"}, (3, 5, 5), source)


def test_writing_to_a_mapped_image_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    split = load(tmp_path, Source(), resident=0)
    split.stored.zero_()
    assert np.array_equal(load(tmp_path, Source(), resident=0).stored.numpy(), IMAGES)


def test_a_decoding_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken():
        yield IMAGES[:3], LABELS[:3]
        raise RuntimeError("third picture")

    with pytest.raises(RuntimeError, match="third picture"):
        load(tmp_path, lambda: Decoding(5, broken()))
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_finished_first_does_no_harm(tmp_path: Path) -> None:
    other = Source()

    def late() -> Decoding:
        load(tmp_path, other)
        return Source()()

    assert np.array_equal(load(tmp_path, late).stored.numpy(), IMAGES)
    assert (other.asked, len(list(tmp_path.iterdir()))) == (1, 1)


def test_a_folder_that_cant_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SkiplabError, match=r"data.cache_dir=.*file/cache can't be written to"):
        load(tmp_path / "file" / "cache", Source())


def test_a_disk_that_is_too_small_is_told_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    source = Source()
    with pytest.raises(SkiplabError, match=r"cache can't be written to \(.*No space left on device\); give a folder"):
        load(tmp_path / "cache", source)
    assert not list((tmp_path / "cache").iterdir())
    monkeypatch.undo()
    assert len(load(tmp_path / "cache", source)) > 0


def test_refuses_a_negative_size() -> None:
    with pytest.raises(SkiplabError, match="max_resident_bytes=-1 is invalid; valid: from 0"):
        DecodedCache("anywhere", max_resident_bytes=-1)


def test_checksum_is_crc32_of_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    monkeypatch.setattr("skiplab.data.decoded_cache._BLOCK", 7)
    assert checksum(IMAGES) == zlib.crc32(IMAGES.tobytes())


def test_the_home_folder_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    DecodedCache("~/cache", max_resident_bytes=0).split({"option": "some"}, SHAPE, Source())
    assert torch.equal(load(tmp_path / "cache", Source()).stored, torch.from_numpy(IMAGES))
