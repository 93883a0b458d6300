"""A small classifier of the bundled digits; distances between digits are measured between its features.

`python -m skiplab.evaluators.feature_extractors.digits_classifier` trains it anew on the training split of
`data=digits` and writes digits_classifier.safetensors and, with its held-out accuracy,
digits_classifier.json beside this file.
"""

import hashlib
import json
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.data.dataset import Dataset
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.seeding import keyed_generator, seed_globally

_WEIGHTS = Path(__file__).with_suffix(".safetensors")


class DigitsClassifier(FeatureExtractor):
    """Two convolutions with pooling and a hidden layer, whose 64 activations are the features.

    Source: none.
    Differs from the source: none.
    """

    shape = (1, 8, 8)
    num_features = 64

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.hidden = nn.Linear(64 * 4 * 4, self.num_features)
        self.classify = nn.Linear(self.num_features, 10)
        self.load_state_dict(load_file(_WEIGHTS))
        self.sha256 = hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()
        self.eval().requires_grad_(False)

    def forward(self, images: Float[Tensor, "batch 1 8 8"]) -> Float[Tensor, "batch 64"]:
        hidden = F.relu(self.conv1(images))
        hidden = F.max_pool2d(F.relu(self.conv2(hidden)), 2)
        return F.relu(self.hidden(hidden.flatten(1)))


def train(data: Dataset, *, num_steps: int, batch_size: int, lr: float, seed: int) -> DigitsClassifier:
    """Cross-entropy and Adam on images shifted by up to a pixel, with dropout on the features."""
    with torch.random.fork_rng(devices=[]):
        seed_globally(seed)
        model = DigitsClassifier().requires_grad_(True)
        for layer in (model.conv1, model.conv2, model.hidden, model.classify):
            layer.reset_parameters()
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        for step in range(num_steps):
            generator = keyed_generator(seed, "digits classifier", step)
            indices = torch.randint(len(data.train), (batch_size,), generator=generator)
            shift = torch.randint(-1, 2, (2,), generator=generator).tolist()
            padded = F.pad(data.train.at(indices).images, (1, 1, 1, 1), value=-1.0)
            images = padded[:, :, 1 + shift[0] : 9 + shift[0], 1 + shift[1] : 9 + shift[1]]
            features = F.dropout(model(images), 0.25)
            loss = F.cross_entropy(model.classify(features), data.train.labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.requires_grad_(False)


def accuracy(model: DigitsClassifier, data: Dataset) -> float:
    """Fraction of validation images that are classified correctly."""
    images, labels = data.val.at(slice(None))
    return float((model.classify(model(images)).argmax(dim=1) == labels).float().mean())


def main() -> None:
    """Train and save the classifier, with its settings and its held-out accuracy."""
    from skiplab.data.digits import Digits

    torch.set_num_threads(1)
    split = {"num_val": 360, "split_seed": 0}
    settings = {"num_steps": 3000, "batch_size": 128, "lr": 1e-3, "seed": 0}
    data = Digits(**split)
    model = train(data, **settings)
    save_file(model.state_dict(), _WEIGHTS)
    facts = {"data": "digits", **split, **settings, "num_train": len(data.train), "torch": torch.__version__}
    facts["held_out_accuracy"] = round(accuracy(model, data), 4)
    facts["sha256"] = hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()
    _WEIGHTS.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
