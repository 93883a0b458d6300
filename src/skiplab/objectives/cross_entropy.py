from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from skiplab.errors import SkiplabError
from skiplab.objectives.objective import Forward, Objective
from skiplab.objectives.training_batch import TrainingBatch


class CrossEntropy(Objective[TrainingBatch]):
    """The network predicts the class, loss = -log softmax(F(x))_label, smoothed.

    Source: Szegedy et al. 2016, Rethinking the Inception Architecture, arXiv:1512.00567, section 7 (smoothing).
    Differs from the source: none.

    Args:
        num_classes: number of classes in the data (runtime).
        label_smoothing: fraction of the target that is spread evenly over all classes, at least 0 and below 1.

    Raises:
        SkiplabError: if label_smoothing is out of range, or the data has fewer than two classes.
    """

    def __init__(self, num_classes: int, *, label_smoothing: float) -> None:
        super().__init__(num_classes)
        if not 0 <= label_smoothing < 1:
            raise SkiplabError(
                f"objective.label_smoothing={label_smoothing} is invalid; valid: a number of at least 0 and below 1"
            )
        if num_classes < 2:
            raise SkiplabError(
                f"objective=cross_entropy needs at least two classes, and the data has {num_classes}; choose other "
                "data or objective=denoising"
            )
        self.label_smoothing = label_smoothing

    @property
    def num_logits(self) -> int:
        return self.num_classes

    def example(self, shape: tuple[int, ...], device: torch.device | str = "cpu") -> tuple[Any, ...]:
        return (torch.zeros(1, *shape, device=device),)

    def draw(
        self,
        images: Float[Tensor, "batch channel *positions"],
        labels: Int[Tensor, " batch"],
        generator: torch.Generator,
    ) -> TrainingBatch:
        return TrainingBatch(images, labels)

    def loss_of(self, model: Forward, batch: TrainingBatch) -> Float[Tensor, " batch"]:
        logits = model(batch.images)
        return F.cross_entropy(logits, batch.labels, reduction="none", label_smoothing=self.label_smoothing)
