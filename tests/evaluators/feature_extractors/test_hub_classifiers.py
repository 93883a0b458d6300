"""The bundled extractors of MNIST and CIFAR-10: their facts are those of their files, and of images never seen."""

import hashlib
import json

import pytest
import torch
from torch.nn import functional as F

from published import pictures, publish
from skiplab.data.cifar10 import CIFAR10
from skiplab.data.digits import Digits
from skiplab.evaluators.feature_extractors.cifar10_classifier import CIFAR10Classifier
from skiplab.evaluators.feature_extractors.mnist_classifier import MNISTClassifier

CLASSIFIERS = {MNISTClassifier: (60_000, 10_000, 0.985), CIFAR10Classifier: (50_000, 10_000, 0.65)}


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_file_is_the_one_on_record_and_small(classifier) -> None:
    content = classifier.weights_file().read_bytes()
    assert hashlib.sha256(content).hexdigest() == facts(classifier)["sha256"] == classifier().sha256
    assert len(content) < 10**6


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_facts_are_those_of_all_images(classifier) -> None:
    num_train, num_held_out, least_accuracy = CLASSIFIERS[classifier]
    found = facts(classifier)
    assert (found["num_train"], found["num_held_out"]) == (num_train, num_held_out)
    assert found["held_out_accuracy"] >= least_accuracy


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_features_have_the_declared_shape(classifier) -> None:
    model = classifier()
    assert model(torch.zeros(5, *model.shape)).shape == (5, model.num_features)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_mnist_s_reads_the_bundled_digits_at_the_size_that_mnist_has() -> None:
    """MNIST's images are no part of this repository; other hands' digits, enlarged to its 20 pixels within 28, are."""
    images, labels = Digits(num_val=360, split_seed=0).val.at(slice(None))
    enlarged = F.pad(F.interpolate(images, (20, 20), mode="bilinear"), (4, 4, 4, 4), value=-1.0)
    model = MNISTClassifier()
    accuracy = float((model.network.classify(model(enlarged)).argmax(dim=1) == labels).float().mean())
    assert accuracy > 0.9
    inverted = float((model.network.classify(model(-enlarged)).argmax(dim=1) == labels).float().mean())
    assert inverted < 0.3, "the range of the input matters"


def test_the_command_trains_on_a_folder_of_the_hub_s_files(tmp_path, monkeypatch) -> None:
    for split, count in (("train", 6), ("test", 2)):
        file, labels = tmp_path / "cifar10" / f"{split}-0.parquet", list(range(count))
        publish(file, "img", pictures(count, (32, 32, 3)), label=labels)
    monkeypatch.setattr(CIFAR10Classifier, "weights_file", lambda *_: tmp_path / "cifar10_classifier.safetensors")
    monkeypatch.setattr("sys.argv", ["cifar10_classifier", str(tmp_path / "cifar10")])
    CIFAR10Classifier.retrain_on_hub_images(CIFAR10, num_steps=2, batch_size=4, lr=1e-3, seed=0)
    found = facts(CIFAR10Classifier)
    assert (found["data"], found["num_train"], found["num_held_out"], found["num_steps"]) == ("cifar10", 6, 2, 2)
    assert CIFAR10Classifier().sha256 == found["sha256"]


def facts(classifier) -> dict:
    return json.loads(classifier.weights_file().with_suffix(".json").read_text(encoding="utf-8"))
