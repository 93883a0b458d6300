import pytest
import torch

from skiplab.blocks.connections.mp_sum import MPSum
from skiplab.blocks.specification import JoinSpec

PLACE = JoinSpec(width=2, index=0, num_joins=1, position=0, cond_width=0)


@pytest.mark.parametrize("weight", [0.1, 0.3, 0.5, 0.9, 1.0])
def test_keeps_the_variance_of_independent_terms(weight: float) -> None:
    stream, update = torch.randn(2, 20_000, 2, generator=torch.Generator().manual_seed(0))
    joined = MPSum(PLACE, update_weight=weight).join(stream, update, None)
    assert abs(joined.var().item() - 1) < 0.04  # five standard errors, and their correlation by chance


def test_weighs_stream_and_update() -> None:
    stream, update = torch.tensor([[5.0, 0.0]]), torch.tensor([[0.0, 5.0]])
    # 0.2 and 0.8 over sqrt(0.68)
    found = MPSum(PLACE, update_weight=0.8).join(stream, update, None)
    assert found[0].tolist() == pytest.approx([1.212678, 4.850713], abs=1e-5)


def test_is_plain_at_one_and_the_equal_sum_over_sqrt2_at_a_half() -> None:
    stream, update = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(MPSum(PLACE, update_weight=1.0).join(stream, update, None), update)
    half = MPSum(PLACE, update_weight=0.5).join(stream, update, None)
    assert torch.allclose(half, (stream + update) / 2**0.5)
