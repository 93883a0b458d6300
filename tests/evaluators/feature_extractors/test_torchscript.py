"""A TorchScript file as an extractor: its input, its hash, what it is refused for."""

from pathlib import Path

import pytest
import torch
from scripted import Means, save_scripted
from torch.nn import functional as F

from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.torchscript import Torchscript

SETTINGS = {"sha256": None, "num_features": 2, "input_range": (0.0, 255.0), "resize": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_scripted(Means(), tmp_path / "means.pt")
    return tmp_path / "means.pt"


def test_gives_the_networks_features_of_its_own_range(path) -> None:
    images = torch.stack([torch.full((1, 4, 4), value) for value in (-1.0, 0.0, 1.0)])
    assert Torchscript(path=str(path), **SETTINGS)(images).tolist() == [[0, 16], [255, 16], [510, 16]]
    halves = Torchscript(path=str(path), **{**SETTINGS, "input_range": (0, 1)})
    assert halves(images)[:, 0].tolist() == [0, 1, 2]


def test_resizes_before_the_network(path) -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    made = Torchscript(path=str(path), **{**SETTINGS, "input_range": (-1, 1), "resize": 5})
    found = made(images)
    assert found[:, 1].tolist() == [75, 75]
    expected = 2 * F.interpolate(images, (5, 5), mode="bilinear", antialias=True).mean(dim=(1, 2, 3))
    assert torch.allclose(found[:, 0], expected, atol=1e-6)
    assert made.facts()["resize"] == 5


def test_takes_images_of_any_size(path) -> None:
    made = Torchscript(path=str(path), **SETTINGS)
    for shape in ((1, 8, 8), (3, 5, 7), (2,)):
        made.check(shape)
    assert not any(parameter.requires_grad for parameter in made.parameters())


def test_hash_is_recorded_and_compared_where_one_is_given(tmp_path) -> None:
    digest = save_scripted(Means(), tmp_path / "means.pt")
    path = str(tmp_path / "means.pt")
    assert Torchscript(path=path, **SETTINGS).sha256 == digest
    assert Torchscript(path=path, **{**SETTINGS, "sha256": digest.upper()}).sha256 == digest
    with pytest.raises(SkiplabError, match=f"has sha256 {digest}, but feature_extractor.sha256 expects {'0' * 64}"):
        Torchscript(path=path, **{**SETTINGS, "sha256": "0" * 64})


def test_facts_tell_two_input_ranges_apart(path) -> None:
    one, other = (Torchscript(path=str(path), **{**SETTINGS, "input_range": r}).facts() for r in ((0, 1), (0, 255)))
    assert one["extractor_sha256"] == other["extractor_sha256"]
    assert one != other


def test_refuses_another_number_of_features_than_it_is_told(path) -> None:
    made = Torchscript(path=str(path), **{**SETTINGS, "num_features": 3})
    with pytest.raises(SkiplabError, match=r"num_features=3, but the network .* returns shape \(1, 2\) for one image"):
        made.check((1, 8, 8))


def test_refuses_data_that_the_network_fails_on(path) -> None:
    made = Torchscript(path=str(path), **{**SETTINGS, "resize": 5})
    with pytest.raises(SkiplabError, match=r"can't take images of shape \(2,\)"):
        made.check((2,))


@pytest.mark.parametrize("given", ["null", "nowhere.pt", "."])
def test_refuses_a_path_that_is_no_file(given) -> None:
    with pytest.raises(SkiplabError, match=rf"feature_extractor.path={given} is not a file"):
        Torchscript(path=None if given == "null" else given, **SETTINGS)


def test_refuses_a_file_that_is_no_torchscript(tmp_path) -> None:
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(SkiplabError, match=r"text.pt can't be loaded"):
        Torchscript(path=str(tmp_path / "text.pt"), **SETTINGS)


@pytest.mark.parametrize(
    ("setting", "value"), [("num_features", 0), ("input_range", (1, 1)), ("input_range", (0,)), ("resize", 0)]
)
def test_refuses_settings_out_of_range(path, setting, value) -> None:
    with pytest.raises(SkiplabError, match=rf"feature_extractor.{setting}=.* is invalid; valid: "):
        Torchscript(path=str(path), **{**SETTINGS, setting: value})
