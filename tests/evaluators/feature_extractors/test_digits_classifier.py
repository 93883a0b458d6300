"""The bundled extractor is the one that its facts describe."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from skiplab.data.digits import Digits
from skiplab.evaluators.feature_extractors import digits_classifier
from skiplab.evaluators.feature_extractors.digits_classifier import DigitsClassifier
from skiplab.evaluators.feature_extractors.shipped_classifier import accuracy, train

FOLDER = Path(digits_classifier.__file__).parent
FACTS = json.loads((FOLDER / "digits_classifier.json").read_text())


@pytest.fixture(scope="module")
def data() -> Digits:
    return Digits(num_val=FACTS["num_val"], split_seed=FACTS["split_seed"])


def test_hash_is_the_one_on_record() -> None:
    digest = hashlib.sha256((FOLDER / "digits_classifier.safetensors").read_bytes()).hexdigest()
    assert digest == FACTS["sha256"] == DigitsClassifier().sha256


def test_accuracy_is_the_one_on_record(data) -> None:
    model = DigitsClassifier().network
    images, labels = data.val.at(slice(None))
    named = [int(model.classify(model(image[None])).argmax()) for image in images]
    right = sum(name == int(label) for name, label in zip(named, labels, strict=True))
    assert round(right / len(named), 4) == FACTS["held_out_accuracy"] == round(accuracy(model, data), 4)
    assert FACTS["held_out_accuracy"] > 0.97


def test_features_have_the_declared_shape(data) -> None:
    model = DigitsClassifier()
    assert data.val.shape == model.shape
    assert model(data.val.first(5).images).shape == (5, model.num_features)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_training_is_repeatable_and_learns(data) -> None:
    settings = {"purpose": "digits classifier", "num_steps": 30, "batch_size": 64, "lr": 1e-3, "seed": 0}
    torch.manual_seed(1)
    one = train(DigitsClassifier.make_network(), data, **settings)
    torch.manual_seed(2)
    other = train(DigitsClassifier.make_network(), data, **settings)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert accuracy(one, data) > 0.5
