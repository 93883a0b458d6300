"""A small classifier of CIFAR-10; distances between its images are measured between the classifier's features.

`python -m skiplab.evaluators.feature_extractors.cifar10_classifier [FOLDER]` trains it anew on the training split of
`data=cifar10` and writes cifar10_classifier.safetensors and cifar10_classifier.json beside this file. The weights that
ship with skiplab were trained on a copy of CIFAR-10 whose images are stored as JPEG, not on the lossless ones.
"""

from skiplab.evaluators.feature_extractors.shipped_classifier import ShippedClassifier


class CIFAR10Classifier(ShippedClassifier):
    """Two convolutions with pooling and a hidden layer, whose 64 activations are the features; trained on a JPEG copy
    of CIFAR-10.

    Source: none.
    Differs from the source: none.
    """

    shape = (3, 32, 32)
    channels = (48, 96)
    pooling = (2, 4)
    num_features = 64


if __name__ == "__main__":
    from skiplab.data.cifar10 import CIFAR10  # with pyarrow, which features don't need

    CIFAR10Classifier.retrain_on_hub_images(CIFAR10, num_steps=6000, batch_size=128, lr=1e-3, seed=0)
