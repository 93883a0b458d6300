from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.classification import count_of, predictions
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.metrics import Metric
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.objective import Objective


class Calibration(Evaluator[CrossEntropy]):
    """How well a classifier's confidence matches its accuracy: expected calibration error on validation images.

    Images are sorted into bins of equal width by their confidence, the probability of the predicted class,

        ECE = sum over bins b of |b| / n |accuracy(b) - confidence(b)|.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599, eq. 3 (from memory).
    Differs from the source: none.

    Args:
        num_bins: bins, from 1.
        batch_size: images per forward pass, from 1.
        num_val: validation images at most, from 1; null for all. Those of evaluator=classification with as many.

    Raises:
        SkiplabError: if an argument is below 1.
    """

    measures: ClassVar[type[Objective]] = CrossEntropy
    metrics: ClassVar[dict[str, Metric]] = {
        "calibration_error": Metric(
            label="expected calibration error, validation images", direction="lower", scale="bounded"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "reliability": Chart(
            title="Reliability",
            caption="Validation images are sorted into bins by confidence, the probability of the predicted class. "
            "For each bin: the accuracy and the mean confidence; mean and range over seeds. Where accuracy is below "
            "confidence, the network is overconfident. Bins of few images, seen in the next figure, are noisy.",
            kind="lines",
            x="confidence (middle of the bin)",
            value="accuracy, mean confidence",
        ),
        "fraction_by_confidence": Chart(
            title="Images by confidence",
            caption="Fraction of validation images whose predicted class has about this probability.",
            kind="bars",
            x="confidence (middle of the bin)",
            value="fraction of images",
        ),
        "calibration_error": Chart(
            title="Calibration error",
            caption="Mean distance between confidence and accuracy over bins of validation images; each seed, and "
            "each arm's mean with its 95% interval. Lower is better; a network that guesses with low confidence is "
            "calibrated too.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_bins: int, batch_size: int, num_val: int | None) -> None:
        for name, value in (("num_bins", num_bins), ("batch_size", batch_size), ("num_val", num_val)):
            if value is not None and value < 1:
                raise SkiplabError(f"evaluator.calibration.{name}={value} is invalid; valid: a whole number from 1")
        self.num_bins, self.batch_size, self.num_val = num_bins, batch_size, num_val

    def evaluate(self, trained: Trained[CrossEntropy]) -> Result:
        logits, labels = predictions(trained, "val", self.batch_size, count_of(trained.data.val, self.num_val))
        bins = reliability(logits, labels, self.num_bins)
        return Result(
            {"calibration_error": sum(each.fraction * abs(each.accuracy - each.confidence) for each in bins)},
            measurements=[
                measurement
                for each in bins
                for measurement in (
                    Measurement("reliability", each.middle, each.accuracy, "accuracy"),
                    Measurement("reliability", each.middle, each.confidence, "confidence"),
                    Measurement("fraction_by_confidence", each.middle, each.fraction),
                )
            ],
            details={"num_images": len(labels), "num_bins": self.num_bins},
        )


class Bin(NamedTuple):
    """Images of similar confidence: the bin's middle, their fraction of all images, accuracy, and mean confidence."""

    middle: float
    fraction: float
    accuracy: float
    confidence: float


def reliability(logits: Float[Tensor, "image label"], labels: Int[Tensor, " image"], num_bins: int) -> list[Bin]:
    """The bins that hold an image, each without its lower edge and with its upper one."""
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    right = (predicted == labels).double()
    # torchmetrics' MulticlassCalibrationError gives confidences that round to 1 a bin of their own
    inner_edges = torch.linspace(0, 1, num_bins + 1, dtype=torch.float64, device=confidence.device)[1:-1]
    numbers = torch.bucketize(confidence, inner_edges)
    bins = []
    for number in numbers.unique().tolist():
        inside = numbers == number
        means = (part.mean().item() for part in (inside.double(), right[inside], confidence[inside]))
        bins.append(Bin((number + 0.5) / num_bins, *means))
    return bins
