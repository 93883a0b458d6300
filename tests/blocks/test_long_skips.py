"""What the decoder reads through each long skip."""

import pytest
import torch

from skiplab.blocks.long_skips.concat import Concat
from skiplab.blocks.long_skips.scaled import Scaled
from skiplab.errors import SkiplabError

STREAM, SKIP = torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, -8.0, 2.0]])


def test_scaled_stands_beside_the_stream_times_its_factor() -> None:
    long_skip = Scaled(2, 3, factor=0.5)
    assert long_skip.width_out == 5
    assert long_skip(STREAM, SKIP).tolist() == [[1.0, 2.0, 2.0, -4.0, 1.0]]


def test_scaled_by_one_is_concat() -> None:
    assert torch.equal(Scaled(2, 3, factor=1.0)(STREAM, SKIP), Concat(2, 3)(STREAM, SKIP))


@pytest.mark.parametrize("factor", [0.0, -0.5])
def test_a_factor_that_is_not_above_zero_is_refused(factor: float) -> None:
    with pytest.raises(SkiplabError, match=rf"long_skip\.factor={factor} is invalid; valid: a number above 0"):
        Scaled(2, 3, factor=factor)
