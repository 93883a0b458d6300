"""Small classifiers whose weights ship with skiplab: their network, and how they are trained and written."""

import hashlib
import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.data.dataset import Dataset
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.seeding import keyed_generator, seed_globally

if TYPE_CHECKING:  # it comes with pyarrow
    from skiplab.data.cifar10 import CIFAR10
    from skiplab.data.mnist import MNIST

_NUM_CLASSES = 10
_BATCH = 1024  # images classified at a time


class SmallClassifier(nn.Module):
    """Two convolutions with pooling and a hidden layer, whose activations are the features.

    Args:
        shape: of an image, (channels, size, size).
        channels: of the two convolutions.
        pooling: factor by which the size shrinks after each convolution; 1 for not at all.
        num_features: width of the hidden layer.
    """

    def __init__(
        self, shape: tuple[int, ...], channels: tuple[int, int], pooling: tuple[int, int], num_features: int
    ) -> None:
        super().__init__()
        side = shape[1] // pooling[0] // pooling[1]
        self.pooling = pooling
        self.conv1 = nn.Conv2d(shape[0], channels[0], kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(*channels, kernel_size=3, padding=1)
        self.hidden = nn.Linear(channels[1] * side * side, num_features)
        self.classify = nn.Linear(num_features, _NUM_CLASSES)

    def forward(self, images: Float[Tensor, "batch channel size size"]) -> Float[Tensor, "batch feature"]:
        """The features; `classify` maps them to logits."""
        hidden = F.max_pool2d(F.relu(self.conv1(images)), self.pooling[0])
        hidden = F.max_pool2d(F.relu(self.conv2(hidden)), self.pooling[1])
        return F.relu(self.hidden(hidden.flatten(1)))


class ShippedClassifier(FeatureExtractor):
    """The features of a small classifier. Its weights, and the facts of its training, lie beside its own file.

    shape, channels, pooling, num_features: see `SmallClassifier`.
    """

    channels: ClassVar[tuple[int, int]]
    pooling: ClassVar[tuple[int, int]]
    num_features: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        weights = self.weights_file()
        self.network = self.make_network()
        self.network.load_state_dict(load_file(weights))
        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        self.eval().requires_grad_(False)

    @classmethod
    def make_network(cls) -> SmallClassifier:
        assert cls.shape is not None, "each class names the shape of its images"
        return SmallClassifier(cls.shape, cls.channels, cls.pooling, cls.num_features)

    @classmethod
    def weights_file(cls) -> Path:
        return Path(inspect.getfile(cls)).with_suffix(".safetensors")

    def forward(self, images: Float[Tensor, "batch channel size size"]) -> Float[Tensor, "batch feature"]:
        return self.network(images)

    @classmethod
    def retrain(cls, data: Dataset, facts: Mapping[str, Any], **settings: Any) -> None:
        """Train anew and write the two files: the weights, and how they were made with their held-out accuracy."""
        torch.set_num_threads(1)
        weights = cls.weights_file()
        network = train(cls.make_network(), data, purpose=weights.stem.replace("_", " "), **settings)
        save_file(network.state_dict(), weights)
        found = {**facts, **settings, "num_train": len(data.train), "torch": torch.__version__}
        found["num_held_out"] = len(data.val)
        found["held_out_accuracy"] = round(accuracy(network, data), 4)
        found["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        weights.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(found, indent=1))

    @classmethod
    def retrain_on_hub_images(cls, images: "type[CIFAR10 | MNIST]", **settings: Any) -> None:
        """Train anew on images from the hub, or from the folder with the hub's files that the command names.

        Batches are drawn by row, so files whose rows stand in another order give other weights; `train_sha256` is the
        hash of the images as they stood.
        """
        from skiplab.cache_dir import cache_dir

        path = sys.argv[1] if len(sys.argv) > 1 else images.home
        data = images(path=path, cache_dir=str(cache_dir()), max_resident_bytes=10**9)
        facts = {"data": images.option, "train_sha256": data.train.content_hash}
        cls.retrain(data, facts, **settings)


def train(
    network: SmallClassifier, data: Dataset, *, purpose: str, num_steps: int, batch_size: int, lr: float, seed: int
) -> SmallClassifier:
    """Cross-entropy and Adam on images shifted by up to a pixel, with dropout on the features."""
    size = data.train.shape[1]
    with torch.random.fork_rng(devices=[]):
        seed_globally(seed)
        for layer in (network.conv1, network.conv2, network.hidden, network.classify):
            layer.reset_parameters()
        optimizer = torch.optim.Adam(network.parameters(), lr=lr)
        for step in range(num_steps):
            generator = keyed_generator(seed, purpose, step)
            indices = torch.randint(len(data.train), (batch_size,), generator=generator)
            down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
            images, labels = data.train.at(indices)
            padded = F.pad(images, (1, 1, 1, 1), value=-1.0)
            shifted = padded[:, :, 1 + down : 1 + down + size, 1 + right : 1 + right + size]
            features = F.dropout(network(shifted), 0.25)
            loss = F.cross_entropy(network.classify(features), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.requires_grad_(False)


@torch.no_grad()
def accuracy(network: SmallClassifier, data: Dataset) -> float:
    """Fraction of validation images that are classified correctly."""
    batches = data.val.batches(_BATCH)
    right = sum(int((network.classify(network(images)).argmax(dim=1) == labels).sum()) for images, labels in batches)
    return right / len(data.val)
