import math
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.metrics import Metric
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.objective import Objective


class Classification(Evaluator):
    """Cross-entropy (nats, without smoothing) and accuracy of a classifier on both splits, without augmentation.

        skill = max(0, 1 - loss / log(num_classes)), log(num_classes) being the loss of the zero predictor

    Source: skill: Murphy 1988, Monthly Weather Review 116, eq. 4.
    Differs from the source: none.

    Args:
        batch_size: images a forward pass.

    Raises:
        SkiplabError: where batch_size is below 1.
    """

    measures: ClassVar[type[Objective]] = CrossEntropy
    metrics: ClassVar[dict[str, Metric]] = {
        "loss_train": Metric(label="cross-entropy, training images", direction="lower"),
        "loss_val": Metric(label="cross-entropy, validation images", direction="lower"),
        "accuracy_train": Metric(label="accuracy on training images", direction="higher", scale="bounded"),
        "accuracy_val": Metric(label="accuracy on validation images", direction="higher", scale="bounded"),
        "skill_train": Metric(label="skill on training images", direction="higher", scale="bounded", if_diverged=0.0),
        "skill_val": Metric(label="skill on validation images", direction="higher", scale="bounded", if_diverged=0.0),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "accuracy_val": Chart(
            title="Accuracy on validation images",
            words="Share of validation images whose class is found; every seed, its arm's mean and 95% interval. "
            "Higher is better.",
            kind="outcome",
        ),
    }

    def __init__(self, *, batch_size: int) -> None:
        if batch_size < 1:
            raise SkiplabError(f"evaluator.classification.batch_size={batch_size} is invalid; valid: from 1")
        self.batch_size = batch_size

    def evaluate(self, trained: Trained) -> Result:
        summary: dict[str, float] = {}
        zero = math.log(trained.objective.num_logits)
        for name in ("train", "val"):
            logits, labels = predictions(trained, name, self.batch_size)
            loss = F.cross_entropy(logits, labels).item()
            summary[f"loss_{name}"] = loss
            summary[f"accuracy_{name}"] = (logits.argmax(dim=1) == labels).double().mean().item()
            summary[f"skill_{name}"] = max(0.0, 1 - loss / zero)
        return Result(summary)


@torch.no_grad()
def predictions(
    trained: Trained, split: str, batch_size: int
) -> tuple[Float[Tensor, "image label"], Int[Tensor, " image"]]:
    """A classifier's logits, in float64, and the labels of all images of a split."""
    batches = [
        (trained.model(images.to(trained.device)).double(), labels.to(trained.device))
        for images, labels in trained.split(split).batches(batch_size)
    ]
    logits, labels = zip(*batches, strict=True)
    return torch.cat(logits), torch.cat(labels)
