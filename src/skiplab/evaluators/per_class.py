from typing import ClassVar

from torchmetrics.classification import MulticlassAccuracy

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.classification import count_of, predictions
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.metrics import Metric
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.objective import Objective


class PerClass(Evaluator[CrossEntropy]):
    """Fraction of each class's validation images that are misclassified, and its maximum over classes.

    Source: one minus the recall of a class, as torchmetrics computes it.
    Differs from the source: classes without images are left out.

    Args:
        batch_size: images per forward pass, from 1.
        num_val: validation images at most, from 1; null for all. Those of evaluator=classification with as many.

    Raises:
        SkiplabError: if either is below 1.
    """

    measures: ClassVar[type[Objective]] = CrossEntropy
    metrics: ClassVar[dict[str, Metric]] = {
        "worst_class_error": Metric(
            label="error of the worst class, validation images", direction="lower", scale="bounded", if_diverged=1.0
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "class_error": Chart(
            title="Error by class",
            caption="Fraction of a class's validation images that are misclassified. Lower is better.",
            kind="bars",
            x="class",
            value="error",
        ),
    }

    def __init__(self, *, batch_size: int, num_val: int | None) -> None:
        for name, value in (("batch_size", batch_size), ("num_val", num_val)):
            if value is not None and value < 1:
                raise SkiplabError(f"evaluator.per_class.{name}={value} is invalid; valid: a whole number from 1")
        self.batch_size, self.num_val = batch_size, num_val

    def evaluate(self, trained: Trained[CrossEntropy]) -> Result:
        logits, labels = predictions(trained, "val", self.batch_size, count_of(trained.data.val, self.num_val))
        accuracy = MulticlassAccuracy(trained.objective.num_logits, average=None).to(trained.device)
        errors = (1 - accuracy(logits, labels)).tolist()
        present = labels.unique().tolist()
        return Result(
            {"worst_class_error": max(errors[label] for label in present)},
            measurements=[Measurement("class_error", label, errors[label]) for label in present],
            details={"num_images": len(labels)},
        )
