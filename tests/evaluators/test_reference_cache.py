"""Training images' features and their moments are computed once, and again where what they depend on differs."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from skiplab.data.dataset import Dataset, Split
from skiplab.evaluators import baselines
from skiplab.evaluators.baselines import Baselines
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.feature_extractors.raw import Raw
from skiplab.evaluators.features.features import reference_subset_features
from skiplab.evaluators.features.reference_cache import reference_key
from skiplab.evaluators.features.reference_moments import reference_moments
from skiplab.evaluators.frechet_distance import FrechetDistance


def drawn(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def made(trained) -> Callable:
    """made(stored, extractor): what evaluators get, with these training images."""

    def make(stored: torch.Tensor, extractor=Raw, *, mapped: bool = False):
        data = Dataset()
        data.train = Split(stored, torch.zeros(len(stored), dtype=torch.long), mapped=mapped)
        return replace(trained, data=data, make_extractor=extractor, _samples={})

    return make


@pytest.fixture
def counted() -> tuple[type[Raw], list[int]]:
    """An extractor, and the sizes of the batches that it was given."""
    seen: list[int] = []

    class Counted(Raw):
        def forward(self, images):
            seen.append(len(images))
            return super().forward(images)

    return Counted, seen


def entries(cache_folder: Path) -> list[Path]:
    return [path for path in cache_folder.rglob("*") if path.is_file()]


def test_mean_and_covariance_are_the_sets(made) -> None:
    stored = drawn(300, 3, 4, 4)
    found = reference_moments(made(stored))
    images = (stored.float() / 127.5 - 1).flatten(1).double()
    assert found.count == 300
    assert torch.allclose(found.mean, images.mean(dim=0), atol=1e-12)
    assert torch.allclose(found.covariance, torch.cov(images.T), atol=1e-12)


def test_second_time_runs_no_extractor_and_gives_the_same_bits(made, counted, cache_folder) -> None:
    extractor, seen = counted
    first = reference_moments(made(drawn(200, 1, 4, 4), extractor))
    assert seen == [128, 72]
    second = reference_moments(made(drawn(200, 1, 4, 4), extractor))
    assert seen == [128, 72]
    assert all(torch.equal(part, vars(second)[name]) for name, part in vars(first).items())
    assert len(entries(cache_folder)) == 1


def test_the_best_affine_predictor_is_found_once(trained, cache_folder, monkeypatch) -> None:
    first = Baselines().evaluate(trained)
    monkeypatch.setattr(baselines, "moments", lambda split: pytest.fail("computed again"))
    assert Baselines().evaluate(replace(trained, make_extractor=None)).summary == first.summary
    assert len(entries(cache_folder)) == 2  # the spectrum, and what the evaluation batch is along its eigenvectors


class OtherNoise(EvalBatch):
    def noised(self, objective, split, name):
        levels = super().noised(objective, split, name)
        return [(x0, -noise, objective.noised(x0, -noise, at.time, at.labels)) for x0, noise, at in levels]


@pytest.mark.parametrize("change", ["images", "levels", "noise"])
def test_the_affine_loss_is_that_of_the_evaluation_batch(trained, cache_folder, change: str) -> None:
    num_images, num_levels = trained.eval_batch.num_images, trained.eval_batch.num_levels
    other = {
        "images": EvalBatch(num_images=num_images - 1, num_levels=num_levels),
        "levels": EvalBatch(num_images=num_images, num_levels=num_levels + 1),
        "noise": OtherNoise(num_images=num_images, num_levels=num_levels),
    }[change]
    cold = Baselines().evaluate(replace(trained, eval_batch=other)).summary
    shutil.rmtree(cache_folder)
    first = Baselines().evaluate(trained).summary
    assert Baselines().evaluate(replace(trained, eval_batch=other)).summary == cold != first


def test_features_are_kept_for_each_number_of_images(made, counted, cache_folder) -> None:
    extractor, seen = counted
    first, fewer, again = (
        reference_subset_features(made(drawn(200, 1, 4, 4), extractor), count) for count in (1000, 50, 200)
    )
    assert seen == [128, 72, 50]
    assert torch.equal(again, first)
    assert len(fewer) == 50
    assert len(entries(cache_folder)) == 2


def test_score_is_the_same_with_and_without_the_cache(trained, cache_folder) -> None:
    frechet = FrechetDistance(num_samples=100)
    first = frechet.evaluate(replace(trained)).summary
    assert entries(cache_folder)
    assert frechet.evaluate(replace(trained)).summary == first


def test_key_depends_on_each_thing_that_matters(made) -> None:
    class Other(Raw):
        sha256 = "other"

    class Resized(Raw):
        resize = 299

    stored = drawn(20, 1, 4, 4)
    changed = stored.clone()
    changed[-1, 0, 3, 3] ^= 1
    variants = [
        made(stored),
        made(changed),
        made(stored[:-1]),
        made(stored.view(20, 1, 2, 8)),
        made(stored.float()),
        made(stored, Other),
        made(stored, Resized),
    ]
    assert len({reference_key(variant) for variant in variants}) == len(variants)


def test_key_depends_on_neither_labels_nor_where_the_images_lie(made, tmp_path) -> None:
    stored = drawn(20, 1, 4, 4)
    path = tmp_path / "images.bin"
    path.write_bytes(stored.numpy().tobytes())
    mapped = torch.from_file(str(path), shared=False, size=stored.numel(), dtype=torch.uint8).view(stored.shape)
    relabelled = made(mapped, mapped=True)
    relabelled.data.train.labels += 3
    assert reference_key(relabelled) == reference_key(made(stored))


def test_content_is_hashed_the_same_in_blocks(monkeypatch) -> None:
    images, labels = drawn(50, 1, 2, 2), torch.zeros(50, dtype=torch.long)
    whole = Split(images, labels).content_hash
    monkeypatch.setattr("skiplab.data.dataset._HASHED_AT_ONCE", 7)
    assert Split(images, labels).content_hash == whole


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "another"])
def test_a_damaged_entry_is_computed_anew(made, counted, cache_folder, damage) -> None:
    extractor, seen = counted
    first = reference_moments(made(drawn(20, 1, 4, 4), extractor))
    (path,) = entries(cache_folder)
    sound = path.read_bytes()
    flipped = sound[:-1] + bytes([sound[-1] ^ 1])
    path.write_bytes({"cut": sound[:-9], "flipped": flipped, "emptied": b"", "another": b"{}" * 40}[damage])
    again = reference_moments(made(drawn(20, 1, 4, 4), extractor))
    assert seen == [20, 20]
    assert all(torch.equal(part, vars(again)[name]) for name, part in vars(first).items())
    assert path.read_bytes() == sound


def test_a_folder_that_cannot_be_written_costs_the_cache_alone(made, cache_folder) -> None:
    cache_folder.write_text("a file where the folder should be")
    assert reference_moments(made(drawn(20, 1, 4, 4))).count == 20
    assert cache_folder.read_text() == "a file where the folder should be"
