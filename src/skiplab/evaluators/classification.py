import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from skiplab.charts import Chart
from skiplab.data.dataset import Batch, Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.skill import skill
from skiplab.evaluators.evaluator import Evaluator, Result, SplitName, Trained
from skiplab.evaluators.results.missing import note_missing, require_finite
from skiplab.metrics import Metric
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator


class Classification(Evaluator[CrossEntropy]):
    """Cross-entropy (nats, without smoothing) and accuracy of a classifier on both splits, without augmentation.

    Of a large split, a random part can stand for the whole: the same images for every arm and seed. The record states
    how many there are. An accuracy p on n images has a standard error of sqrt(p (1 - p) / n).

        skill = max(0, 1 - loss / log(num_classes)), log(num_classes) being the loss of the zero predictor

    The zero predictor calls all classes equally likely. Where classes differ in size, guessing by their frequencies has
    some skill.

    Skill is 0 if the loss isn't finite.

    Source: skill: Murphy 1988, Monthly Weather Review 116, eq. 4 (from memory).
    Differs from the source: none.

    Args:
        batch_size: images per forward pass, from 1.
        num_train: training images at most, from 1; null for all.
        num_val: validation images at most, from 1; null for all.

    Raises:
        SkiplabError: if an argument is below 1.
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

    def __init__(self, *, batch_size: int, num_train: int | None, num_val: int | None) -> None:
        for name, value in (("batch_size", batch_size), ("num_train", num_train), ("num_val", num_val)):
            if value is not None and value < 1:
                raise SkiplabError(f"evaluator.classification.{name}={value} is invalid; valid: a whole number from 1")
        self.batch_size = batch_size
        self.most: dict[SplitName, int | None] = {"train": num_train, "val": num_val}

    def evaluate(self, trained: Trained[CrossEntropy]) -> Result:
        summary: dict[str, float] = {}
        missing: dict[str, str] = {}
        counts: dict[SplitName, int] = {name: count_of(trained.split(name), most) for name, most in self.most.items()}
        zero = math.log(trained.objective.num_logits)
        for name, count in counts.items():
            loss = math.inf
            with note_missing(missing, [f"loss_{name}", f"accuracy_{name}"]):
                logits, labels = predictions(trained, name, self.batch_size, count)
                loss = summary[f"loss_{name}"] = F.cross_entropy(logits, labels).item()
                summary[f"accuracy_{name}"] = (logits.argmax(dim=1) == labels).double().mean().item()
            summary[f"skill_{name}"] = skill(loss, zero)
        return Result(summary, missing=missing, details={f"num_{name}": count for name, count in counts.items()})


def count_of(split: Split, most: int | None) -> int:
    """How many images of a split are judged, if `most` are; None for all."""
    return len(split) if most is None else min(most, len(split))


@torch.no_grad()
def predictions(
    trained: Trained[CrossEntropy], split: SplitName, batch_size: int, count: int
) -> tuple[Float[Tensor, "image label"], Int[Tensor, " image"]]:
    """A classifier's logits, in float64, and the labels, of `count` images of a split.

    Raises:
        UnmeasurableError: if logits aren't finite numbers, since argmax would still return a class.
    """
    batches = [
        (trained.model(images.to(trained.device)).double(), labels.to(trained.device))
        for images, labels in _batches(trained.split(split), batch_size, count)
    ]
    logits, labels = zip(*batches, strict=True)
    return require_finite(torch.cat(logits), f"outputs at images of {split}"), torch.cat(labels)


def _batches(split: Split, batch_size: int, count: int) -> Iterator[Batch]:
    """The whole split in order, or a random part of it that is the same in every trial."""
    if count == len(split):
        return split.batches(batch_size)
    order = torch.randperm(len(split), generator=keyed_generator(0, "part of a split"))
    which = order[:count].sort().values  # a split that is mapped from a file is read fastest in order
    return (split.at(part) for part in which.split(batch_size))
