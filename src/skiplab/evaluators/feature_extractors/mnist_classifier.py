"""A small classifier of MNIST; distances between its images are measured between the classifier's features.

`python -m skiplab.evaluators.feature_extractors.mnist_classifier [FOLDER]` trains it anew on the training split of
`data=mnist` and writes mnist_classifier.safetensors and mnist_classifier.json beside this file.
"""

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


if __name__ == "__main__":
    from skiplab.data.mnist import MNIST  # with pyarrow, which features don't need

    MNISTClassifier.retrain_on_hub_images(MNIST, num_steps=4000, batch_size=128, lr=1e-3, seed=0)
