"""An epoch shows each image once, in an order that depends on (seed, epoch) alone."""

import pytest
import torch

from skiplab.errors import SkiplabError
from skiplab.training.batches import Batches


def epoch(batches: Batches, number: int) -> list[int]:
    steps = range(number * batches.steps_per_epoch, (number + 1) * batches.steps_per_epoch)
    return [index for step in steps for index in batches.indices(step).tolist()]


def test_an_epoch_covers_each_image_once() -> None:
    batches = Batches(60, 12, seed=3)
    for number in range(3):
        assert sorted(epoch(batches, number)) == list(range(60))
    assert epoch(batches, 0) != epoch(batches, 1)


def test_a_remainder_is_left_out() -> None:
    batches = Batches(10, 4, seed=0)
    assert batches.steps_per_epoch == 2
    seen = epoch(batches, 0)
    assert len(seen) == len(set(seen)) == 8
    assert {index for number in range(20) for index in epoch(batches, number)} == set(range(10))


def test_a_step_is_a_function_of_seed_and_step() -> None:
    in_order = Batches(50, 7, seed=1)
    expected = [in_order.indices(step) for step in range(30)]
    torch.manual_seed(9)
    jumping = Batches(50, 7, seed=1)
    for step in (29, 0, 15, 7, 6, 29):
        assert torch.equal(jumping.indices(step), expected[step])
    assert not torch.equal(Batches(50, 7, seed=2).indices(0), expected[0])


@pytest.mark.parametrize("batch_size", [0, -1, 11])
def test_refuses_batches_that_cannot_be_filled(batch_size: int) -> None:
    with pytest.raises(SkiplabError, match=f"batch_size={batch_size} is invalid; valid: 1 to 10"):
        Batches(10, batch_size, seed=0)


def test_one_batch_of_everything() -> None:
    assert sorted(Batches(10, 10, seed=0).indices(4).tolist()) == list(range(10))
