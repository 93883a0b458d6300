"""The bundled extractor of MNIST: its facts are those of its file, and it reads digits that it has never seen."""

import hashlib
import json

import torch
from torch.nn import functional as F

from skiplab.data.digits import Digits
from skiplab.evaluators.feature_extractors.mnist_classifier import MNISTClassifier

WEIGHTS = MNISTClassifier.weights_file()
FACTS = json.loads(WEIGHTS.with_suffix(".json").read_text())


def test_the_file_is_the_one_on_record_and_small() -> None:
    content = WEIGHTS.read_bytes()
    assert hashlib.sha256(content).hexdigest() == FACTS["sha256"] == MNISTClassifier().sha256
    assert len(content) < 10**6


def test_the_facts_are_those_of_all_of_mnist() -> None:
    assert (FACTS["num_train"], FACTS["num_held_out"]) == (60_000, 10_000)
    assert FACTS["held_out_accuracy"] >= 0.985


def test_features_have_the_declared_shape() -> None:
    model = MNISTClassifier()
    assert model(torch.zeros(5, 1, 28, 28)).shape == (5, model.num_features)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_it_reads_the_bundled_digits_at_the_size_that_mnist_has() -> None:
    """MNIST's images are no part of this repository; other hands' digits, enlarged to its 20 pixels within 28, are."""
    images, labels = Digits(num_val=360, split_seed=0).val.at(slice(None))
    enlarged = F.pad(F.interpolate(images, (20, 20), mode="bilinear"), (4, 4, 4, 4), value=-1.0)
    model = MNISTClassifier()
    accuracy = float((model.network.classify(model(enlarged)).argmax(dim=1) == labels).float().mean())
    assert accuracy > 0.9
    inverted = float((model.network.classify(model(-enlarged)).argmax(dim=1) == labels).float().mean())
    assert inverted < 0.3, "the range of the input matters"
