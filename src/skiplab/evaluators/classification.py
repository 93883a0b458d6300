import math
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.skill import skill
from skiplab.evaluators.evaluator import Evaluator, Result, SplitName, Trained
from skiplab.evaluators.results.missing import note_missing, require_finite
from skiplab.metrics import Metric
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.objective import Objective


class Classification(Evaluator[CrossEntropy]):
    """Cross-entropy (nats, without smoothing) and accuracy of a classifier on both splits, without augmentation.

        skill = max(0, 1 - loss / log(num_classes)), log(num_classes) being the loss of the zero predictor

    Skill is 0 if the loss isn't finite.

    Source: skill: Murphy 1988, Monthly Weather Review 116, eq. 4 (from memory).
    Differs from the source: none.

    Args:
        batch_size: images per forward pass.

    Raises:
        SkiplabError: if batch_size is below 1.
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
            caption="Fraction of validation images that are classified correctly; each seed, and each arm's mean with "
            "its 95% interval. Higher is better.",
            kind="outcome",
        ),
    }

    def __init__(self, *, batch_size: int) -> None:
        if batch_size < 1:
            raise SkiplabError(f"evaluator.classification.batch_size={batch_size} is invalid; valid: from 1")
        self.batch_size = batch_size

    def evaluate(self, trained: Trained[CrossEntropy]) -> Result:
        summary: dict[str, float] = {}
        missing: dict[str, str] = {}
        zero = math.log(trained.objective.num_logits)
        for name in ("train", "val"):
            loss = math.inf
            with note_missing(missing, [f"loss_{name}", f"accuracy_{name}"]):
                logits, labels = predictions(trained, name, self.batch_size)
                loss = summary[f"loss_{name}"] = F.cross_entropy(logits, labels).item()
                summary[f"accuracy_{name}"] = (logits.argmax(dim=1) == labels).double().mean().item()
            summary[f"skill_{name}"] = skill(loss, zero)
        return Result(summary, missing=missing)


@torch.no_grad()
def predictions(
    trained: Trained[CrossEntropy], split: SplitName, batch_size: int
) -> tuple[Float[Tensor, "image label"], Int[Tensor, " image"]]:
    """A classifier's logits, in float64, and the labels of all images of a split.

    Raises:
        UnmeasurableError: if logits aren't finite numbers, since argmax would still return a class.
    """
    batches = [
        (trained.model(images.to(trained.device)).double(), labels.to(trained.device))
        for images, labels in trained.split(split).batches(batch_size)
    ]
    logits, labels = zip(*batches, strict=True)
    return require_finite(torch.cat(logits), f"outputs at images of {split}"), torch.cat(labels)
