"""A small classifier of the bundled digits; distances between digits are measured between its features.

`python -m skiplab.evaluators.feature_extractors.digits_classifier` trains it anew on the training split of
`data=digits` and writes digits_classifier.safetensors and, with its held-out accuracy,
digits_classifier.json beside this file.
"""

from skiplab.evaluators.feature_extractors.shipped_classifier import ShippedClassifier


class DigitsClassifier(ShippedClassifier):
    """Two convolutions with pooling and a hidden layer, whose 64 activations are the features.

    Source: none.
    Differs from the source: none.
    """

    shape = (1, 8, 8)
    channels = (32, 64)
    pooling = (1, 2)
    num_features = 64


def main() -> None:
    """Train and save the classifier, with its settings and its held-out accuracy."""
    from skiplab.data.digits import Digits

    split = {"num_val": 360, "split_seed": 0}
    data = Digits(**split)
    DigitsClassifier.retrain(data, {"data": "digits", **split}, num_steps=3000, batch_size=128, lr=1e-3, seed=0)


if __name__ == "__main__":
    main()
