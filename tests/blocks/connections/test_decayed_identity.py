import pytest
import torch

from skiplab.blocks.connections.decayed_identity import DecayedIdentity
from skiplab.blocks.specification import JoinSpec


def factor(index: int, num_joins: int, alpha_min: float) -> float:
    spec = JoinSpec(width=1, index=index, num_joins=num_joins, position=0, cond_width=0)
    connection = DecayedIdentity(spec, alpha_min=alpha_min)
    return connection.join(torch.tensor([[1.0]]), torch.tensor([[0.0]]), None).item()


def test_falls_linearly_from_one_to_its_least_at_the_last_join() -> None:
    assert [factor(index, 5, 0.6) for index in range(5)] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6])
    assert [factor(index, 2, 0.0) for index in range(2)] == [1.0, 0.0]


def test_the_only_join_of_a_network_keeps_its_stream() -> None:
    assert factor(0, 1, 0.3) == 1.0


def test_the_update_keeps_its_size() -> None:
    spec = JoinSpec(width=1, index=3, num_joins=4, position=0, cond_width=0)
    joined = DecayedIdentity(spec, alpha_min=0.5).join(torch.tensor([[2.0]]), torch.tensor([[7.0]]), None)
    assert joined.item() == 8.0
