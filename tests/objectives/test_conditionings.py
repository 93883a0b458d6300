"""What a denoiser reads of labels."""

import pytest
import torch

from skiplab.errors import SkiplabError
from skiplab.objectives.conditionings.label import Label
from skiplab.objectives.conditionings.none import NoConditioning

LABELS = torch.arange(10).repeat(2000)


def test_labels_are_withheld_with_the_given_probability() -> None:
    labels = Label(dropout=0.2).training_labels(LABELS, 10, torch.Generator().manual_seed(0))
    withheld = labels == 10
    assert float(withheld.float().mean()) == pytest.approx(0.2, abs=0.01)  # 3.5 standard errors
    assert torch.equal(labels[~withheld], LABELS[~withheld])
    again = Label(dropout=0.2).training_labels(LABELS, 10, torch.Generator().manual_seed(0))
    assert torch.equal(labels, again)


def test_nothing_is_withheld_outside_training_nor_without_dropout() -> None:
    assert torch.equal(Label(dropout=0.2).input_labels(LABELS), LABELS)
    assert torch.equal(Label(dropout=0.0).training_labels(LABELS, 10, torch.Generator()), LABELS)
    assert Label(dropout=0.1).num_labels(10) == 10


def test_none_tells_nothing() -> None:
    assert NoConditioning().input_labels(LABELS) is None
    assert NoConditioning().training_labels(LABELS, 10, torch.Generator()) is None
    assert NoConditioning().num_labels(10) == 0


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_refuses_a_dropout_out_of_range(dropout: float) -> None:
    with pytest.raises(SkiplabError, match=f"conditioning.dropout={dropout} is invalid; valid: a number of at least 0"):
        Label(dropout=dropout)
