"""Cross-entropy equals its formula; a network that answers zero has learnt nothing."""

import math

import pytest
import torch

from skiplab.errors import SkiplabError
from skiplab.objectives.cross_entropy import CrossEntropy

IMAGES, LABELS = torch.zeros(4, 1, 2, 2), torch.tensor([0, 2, 1, 2])
GENERATOR = torch.Generator()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_the_formula(smoothing: float) -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = CrossEntropy(3, label_smoothing=smoothing).loss(lambda images: logits, IMAGES, LABELS, GENERATOR)
    for row, label, loss in zip(logits, LABELS, found, strict=True):
        logs = row - row.exp().sum().log()
        target = torch.full((3,), smoothing / 3, dtype=torch.float64)
        target[label] += 1 - smoothing
        assert float(loss) == pytest.approx(-float((target * logs).sum()))


def test_the_zero_predictor_loses_log_of_the_number_of_classes() -> None:
    objective = CrossEntropy(3, label_smoothing=0.0)
    assert objective.zero_loss(IMAGES, LABELS, GENERATOR) == pytest.approx(math.log(3))


@pytest.mark.parametrize(
    ("num_classes", "smoothing", "message"),
    [(3, 1.0, "label_smoothing=1.0 is invalid; valid"), (3, -0.1, "label_smoothing"), (1, 0.0, "at least two classes")],
)
def test_refuses_what_is_out_of_range(num_classes: int, smoothing: float, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        CrossEntropy(num_classes, label_smoothing=smoothing)
