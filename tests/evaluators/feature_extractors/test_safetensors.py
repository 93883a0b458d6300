"""A network of one's own by its dotted name, with weights from a file."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from scripted import Means

from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.safetensors import Safetensors

SETTINGS = {"sha256": None, "num_features": 2, "input_range": (-1.0, 1.0), "resize": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_file({"weight": torch.tensor([3.0, 5.0])}, tmp_path / "means.safetensors")
    return tmp_path / "means.safetensors"


def test_runs_the_network_with_the_files_weights(path) -> None:
    made = Safetensors(network="scripted.Means", path=str(path), **SETTINGS)
    made.check((1, 4, 4))
    assert made(torch.full((1, 1, 4, 4), 0.5)).tolist() == [[1.5, 80.0]]
    assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert made.facts()["network"] == "scripted.Means"
    assert Means().weight.tolist() == [2.0, 1.0]


def test_refuses_a_network_that_the_weights_are_not_of(path) -> None:
    with pytest.raises(SkiplabError, match=r"means.safetensors can't be loaded(.|\n)*Unexpected key"):
        Safetensors(network="torch.nn.Identity", path=str(path), **SETTINGS)


def test_refuses_a_network_that_cannot_be_imported(path) -> None:
    with pytest.raises(SkiplabError, match=r"feature_extractor.network=scripted.Missing can't be imported"):
        Safetensors(network="scripted.Missing", path=str(path), **SETTINGS)


def test_refuses_to_guess_the_network(path) -> None:
    with pytest.raises(SkiplabError, match=r"feature_extractor.network=null; valid: a class by its dotted name"):
        Safetensors(network=None, path=str(path), **SETTINGS)
