"""Inception's TorchScript file, of which a tiny stand-in is called in the same way."""

from pathlib import Path

import pytest
import torch
from scripted import LikeInception, Means, save_scripted

from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.evaluators.feature_extractors.inception import Inception
from skiplab.training.factory import factory
from tiny_trials import compose_config


@pytest.fixture
def inception(tmp_path: Path) -> Inception:
    digest = save_scripted(LikeInception(), tmp_path / "inception.pt")
    return Inception(path=str(tmp_path / "inception.pt"), sha256=digest)


def test_reads_whole_levels_from_0_to_255(inception) -> None:
    images = torch.tensor([-1.0, 0.0, 1.0, 0.3, -7.0, 7.0]).view(6, 1, 1, 1).expand(6, 3, 4, 4)
    features = inception(images)
    assert features.shape == (6, 2048)
    assert features[:, 0].tolist() == features[:, -1].tolist() == [0, 128, 255, 166, 0, 255]


def test_repeats_gray_images_to_three_channels(inception) -> None:
    inception.check((1, 8, 8))
    inception.check((3, 32, 32))
    images = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(inception(images), inception(images.expand(2, 3, 4, 4)))


@pytest.mark.parametrize("shape", [(2,), (2, 8, 8), (1, 4, 4, 4)])
def test_refuses_what_are_no_images(inception, shape) -> None:
    with pytest.raises(SkiplabError, match="feature_extractor=inception takes images of 1 or 3 channels"):
        inception.check(shape)


def test_states_its_hash_and_resize(inception) -> None:
    assert inception.facts()["extractor_sha256"] == inception.sha256
    assert inception.facts()["resize"] == 299


def test_lies_in_the_cache_folder_by_default(cache_folder) -> None:
    cache_folder.mkdir()
    digest = save_scripted(LikeInception(), cache_folder / "inception-2015-12-05.pt")
    assert Inception(path=None, sha256=digest).sha256 == digest


def test_says_how_to_fetch_the_file_where_it_is_missing(cache_folder) -> None:
    with pytest.raises(SkiplabError) as raised:
        factory(compose_config("feature_extractor=inception").config.feature_extractor, FeatureExtractor)()
    place = cache_folder / "inception-2015-12-05.pt"
    address = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt"
    assert f"{place} does not exist" in str(raised.value)
    assert f"curl --fail --create-dirs -o {place} {address}" in str(raised.value)
    assert not cache_folder.exists()


def test_refuses_another_file_naming_both_hashes(cache_folder) -> None:
    cache_folder.mkdir()
    digest = save_scripted(Means(), cache_folder / "inception-2015-12-05.pt")
    wanted = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
    with pytest.raises(SkiplabError, match=f"has sha256 {digest}, but feature_extractor.sha256 expects {wanted}"):
        factory(compose_config("feature_extractor=inception").config.feature_extractor, FeatureExtractor)()
