from typing import ClassVar

import torch
from torch.nn import functional as F

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

    def __init__(self, *, batch_size: int) -> None:
        if batch_size < 1:
            raise SkiplabError(f"evaluator.classification.batch_size={batch_size} is invalid; valid: from 1")
        self.batch_size = batch_size

    @torch.no_grad()
    def evaluate(self, trained: Trained) -> Result:
        summary: dict[str, float] = {}
        zero = torch.tensor(float(trained.objective.num_logits)).log().item()
        for name in ("train", "val"):
            split = trained.split(name)
            loss = right = 0.0
            for images, labels in split.batches(self.batch_size):
                labels = labels.to(trained.device)
                logits = trained.model(images.to(trained.device)).double()
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
                right += (logits.argmax(dim=1) == labels).sum().item()
            summary[f"loss_{name}"] = loss / len(split)
            summary[f"accuracy_{name}"] = right / len(split)
            summary[f"skill_{name}"] = max(0.0, 1 - loss / len(split) / zero)
        return Result(summary)
