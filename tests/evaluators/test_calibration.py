"""The calibration error equals a slow loop over bins and torchmetrics, and hand-made cases."""

import math

import pytest
import torch
from drawn import drawn
from made import gaussian
from torchmetrics.classification import MulticlassCalibrationError

from skiplab.errors import SkiplabError
from skiplab.evaluators.calibration import Calibration, reliability
from skiplab.evaluators.classification import predictions
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.testing.small_trial import small_trained


def slow(
    logits: list[list[float]], labels: list[int], num_bins: int
) -> tuple[float, dict[float, tuple[float, float, float]]]:
    """The error, and accuracy, confidence and fraction of images by the middle of their bin."""
    error, found = 0.0, {}
    for number in range(num_bins):
        inside = []
        for row, label in zip(logits, labels, strict=True):
            probabilities = [math.exp(value) / sum(map(math.exp, row)) for value in row]
            if number / num_bins < max(probabilities) <= (number + 1) / num_bins:
                inside.append((probabilities.index(max(probabilities)) == label, max(probabilities)))
        if inside:
            accuracy, confidence = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            error += len(inside) / len(labels) * abs(accuracy - confidence)
            found[(number + 0.5) / num_bins] = accuracy, confidence, len(inside) / len(labels)
    return error, found


def error_of(logits: torch.Tensor, labels: torch.Tensor, num_bins: int) -> float:
    return sum(each.fraction * abs(each.accuracy - each.confidence) for each in reliability(logits, labels, num_bins))


def predicted(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of varied confidence, and labels that agree with half of them."""
    logits = 2 * gaussian(count, 4, seed=0).double()
    guess = torch.randint(4, (count,), generator=torch.Generator().manual_seed(1))
    return logits, torch.where(gaussian(count, seed=2) > 0, logits.argmax(dim=1), guess)


@pytest.mark.parametrize("num_bins", [1, 7, 15])
def test_equals_a_slow_loop_and_torchmetrics(num_bins: int) -> None:
    logits, labels = predicted(200)
    expected, bins = slow(logits.tolist(), labels.tolist(), num_bins)
    found = reliability(logits, labels, num_bins)
    assert [each.middle for each in found] == pytest.approx(list(bins))
    assert [(each.accuracy, each.confidence, each.fraction) for each in found] == list(
        map(pytest.approx, bins.values())
    )
    error = error_of(logits, labels, num_bins)
    assert error == pytest.approx(expected, rel=1e-12)
    assert error == pytest.approx(float(MulticlassCalibrationError(4, n_bins=num_bins)(logits, labels)), rel=1e-5)
    assert error > 0.01


def test_who_is_sure_and_right_three_times_of_ten_errs_by_0_7() -> None:
    logits = torch.tensor([[100.0, 0.0]]).repeat(10, 1)
    assert error_of(logits, torch.tensor([0] * 3 + [1] * 7), 15) == pytest.approx(0.7)


def test_who_guesses_and_says_so_errs_by_nothing() -> None:
    assert error_of(torch.zeros(10, 5), torch.arange(10) % 5, 15) == pytest.approx(0, abs=1e-12)


def test_sure_and_nearly_sure_share_the_last_bin() -> None:
    """Confidence 1, wrong, and 0.95, right: the bin is right half of the time and 0.975 sure."""
    logits = torch.tensor([[0.0, 1000.0], [math.log(0.95 / 0.05), 0.0]])
    (only,) = reliability(logits, torch.tensor([0, 0]), 10)
    assert only == pytest.approx((0.95, 1, 0.5, 0.975))


def test_draws_what_it_sums_up() -> None:
    trained = small_trained(CrossEntropy)
    logits, labels = predictions(trained, "val", 100, len(trained.data.val))
    error, bins = slow(logits.tolist(), labels.tolist(), 15)
    result = Calibration(num_bins=15, batch_size=7, num_val=None).evaluate(trained)
    assert result.summary["calibration_error"] == pytest.approx(error, rel=1e-5)
    lines = (("reliability", "accuracy"), ("reliability", "confidence"), ("fraction_by_confidence", ""))
    for position, line in enumerate(lines):
        expected = {middle: values[position] for middle, values in bins.items()}
        assert drawn(result, *line) == pytest.approx(expected, rel=1e-5)


def test_refuses_no_bins_and_empty_batches() -> None:
    with pytest.raises(SkiplabError, match=r"calibration.num_bins=0 is invalid; valid: a whole number from 1"):
        Calibration(num_bins=0, batch_size=1, num_val=None)
    with pytest.raises(SkiplabError, match=r"calibration.batch_size=0 is invalid; valid: a whole number from 1"):
        Calibration(num_bins=1, batch_size=0, num_val=None)
