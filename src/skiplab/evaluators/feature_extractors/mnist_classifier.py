"""A small classifier of MNIST; distances between its images are measured between the classifier's features.

`python -m skiplab.evaluators.feature_extractors.mnist_classifier [FOLDER]` trains it anew on the training split of
`data=mnist`, from the hub or from a folder with the hub's files, and writes mnist_classifier.safetensors and, with its
held-out accuracy, mnist_classifier.json beside this file. Batches are drawn by row, so files whose rows stand in
another order give other weights; `train_sha256` is the hash of the images as they stood.
"""

import sys

from skiplab.evaluators.feature_extractors.shipped_classifier import ShippedClassifier


class MNISTClassifier(ShippedClassifier):
    """Two convolutions with pooling and a hidden layer, whose 64 activations are the features; trained on MNIST.

    Source: none.
    Differs from the source: none.
    """

    shape = (1, 28, 28)
    channels = (16, 32)
    pooling = (2, 2)
    num_features = 64


def main() -> None:
    """Train and save the classifier, with its settings and its held-out accuracy."""
    from skiplab.cache_dir import cache_dir
    from skiplab.data.mnist import MNIST
    from skiplab.evaluators.features.reference_cache import content_hash

    path = sys.argv[1] if len(sys.argv) > 1 else MNIST.home
    data = MNIST(path=path, cache_dir=str(cache_dir()), max_resident_bytes=10**9)
    facts = {"data": "mnist", "train_sha256": content_hash(data.train)}
    MNISTClassifier.retrain(data, facts, num_steps=4000, batch_size=128, lr=1e-3, seed=0)


if __name__ == "__main__":
    main()
