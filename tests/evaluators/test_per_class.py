"""The error of each class equals a slow count."""

from dataclasses import replace

import pytest
import torch
from drawn import drawn
from made import gaussian
from torch import nn

from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.per_class import PerClass
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.testing.small_trial import small_trained


def measured(logits: torch.Tensor, labels: torch.Tensor):
    """Of a network that gives its input as logits, as many as there are classes."""
    data = Dataset()
    data.train = data.val = Split(logits, labels)
    objective = CrossEntropy(logits.shape[1], label_smoothing=0.0)
    made = replace(small_trained(CrossEntropy), model=nn.Identity(), data=data, objective=objective)
    return PerClass(batch_size=7, num_val=None).evaluate(made)


def test_equals_a_slow_count() -> None:
    logits = gaussian(60, 4, seed=0)
    labels = torch.randint(4, (60,), generator=torch.Generator().manual_seed(1))
    wrong, seen = [0] * 4, [0] * 4
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        seen[label] += 1
        wrong[label] += row.index(max(row)) != label
    errors = {label: wrong[label] / seen[label] for label in range(4)}
    result = measured(logits, labels)
    assert drawn(result, "class_error") == pytest.approx(errors, abs=1e-6)
    assert result.summary["worst_class_error"] == pytest.approx(max(errors.values()), abs=1e-6)
    assert len(set(errors.values())) == 4


def test_the_worst_class_is_found_among_many_right_images() -> None:
    labels = torch.tensor([0] * 50 + [1] * 2)
    logits = torch.eye(3)[labels]
    logits[-1] = torch.tensor([0.0, 0.0, 1.0])
    result = measured(logits, labels)
    assert drawn(result, "class_error") == {0: 0, 1: 0.5}, "class 2 has no image, and no error"
    assert result.summary == {"worst_class_error": 0.5}


def test_refuses_empty_batches() -> None:
    with pytest.raises(SkiplabError, match=r"per_class.batch_size=0 is invalid; valid: a whole number from 1"):
        PerClass(batch_size=0, num_val=None)
