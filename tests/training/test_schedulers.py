"""Learning rates follow their formula step by step."""

import math

import pytest
import torch

from skiplab.errors import SkiplabError
from skiplab.training.schedulers.constant import Constant
from skiplab.training.schedulers.cosine import Cosine
from skiplab.training.schedulers.multi_step import MultiStep


def rates(make, num_steps: int, **settings) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8)
    scheduler = make(optimizer, num_steps, **settings)
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant_without_warmup() -> None:
    assert rates(Constant, 4, warmup_steps=0) == [0.8] * 4


def test_warmup_is_linear_and_starts_above_zero() -> None:
    assert rates(Constant, 6, warmup_steps=3) == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_cosine_falls_from_the_full_rate_towards_zero() -> None:
    half = math.sqrt(0.5)
    assert rates(Cosine, 4, warmup_steps=0) == pytest.approx([0.8, 0.4 * (1 + half), 0.4, 0.4 * (1 - half)])
    assert rates(Cosine, 5, warmup_steps=1) == pytest.approx([0.4, 0.8, 0.4 * (1 + half), 0.4, 0.4 * (1 - half)])


def test_multi_step_falls_at_shares_of_the_trial() -> None:
    settings = {"milestones": [0.5, 0.75], "factor": 0.1}
    expected = [0.8, 0.8, 0.8, 0.8, 0.08, 0.08, 0.008, 0.008]
    assert rates(MultiStep, 8, warmup_steps=0, **settings) == pytest.approx(expected)
    assert rates(MultiStep, 8, warmup_steps=1, **settings) == pytest.approx([0.4, *expected[1:]])


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (Constant, {"warmup_steps": -1}, "warmup_steps=-1 is invalid; valid: a whole number of at least 0"),
        (Cosine, {"warmup_steps": 2}, "warmup_steps=2 is invalid; valid: a whole number of at least 0"),
        (MultiStep, {"milestones": [0.7, 0.5], "factor": 0.1, "warmup_steps": 0}, "milestones=.* increasing fractions"),
        (MultiStep, {"milestones": [1.0], "factor": 0.1, "warmup_steps": 0}, "milestones=.* between 0 and 1"),
        (MultiStep, {"milestones": [], "factor": 0.0, "warmup_steps": 0}, "factor=0.0 is invalid; valid: .* above 0"),
        (MultiStep, {"milestones": [], "factor": 1.0, "warmup_steps": -1}, "warmup_steps=-1 is invalid"),
    ],
)
def test_refuses_what_is_out_of_range(make, settings: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        rates(make, 2, **settings)
