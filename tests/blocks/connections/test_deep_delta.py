import pytest
import torch

from skiplab.blocks.connections.deep_delta import DeepDelta
from skiplab.blocks.specification import JoinSpec

PLACE = JoinSpec(width=4, index=0, num_joins=1, position=0, cond_width=0)
GENERATOR = torch.Generator().manual_seed(0)
STREAM, UPDATE = torch.randn(2, 3, 4, 5, generator=GENERATOR, dtype=torch.float64)


def make(beta_bias: float | None = None, value_bias: float | None = None) -> DeepDelta:
    connection = DeepDelta(PLACE, initial_beta=1.0, value_range=4.0, epsilon=1e-5).double()
    with torch.no_grad():
        if beta_bias is not None:
            connection.beta_bias.fill_(beta_bias)
        if value_bias is not None:
            connection.value_bias.fill_(value_bias)
    return connection


def along(x: torch.Tensor) -> torch.Tensor:
    """k^T x at each position, k the update's direction."""
    return (UPDATE / UPDATE.norm(dim=1, keepdim=True) * x).sum(dim=1)


def test_beta_of_zero_is_the_identity_shortcut() -> None:
    assert torch.allclose(make(beta_bias=-60.0).join(STREAM, UPDATE, None), STREAM)


def test_beta_of_two_reflects_the_stream_along_the_update() -> None:
    reflected = make(beta_bias=60.0, value_bias=-60.0).join(STREAM, UPDATE, None)
    assert torch.allclose(along(reflected), -along(STREAM))
    assert torch.allclose(reflected.norm(dim=1), STREAM.norm(dim=1))  # an isometry
    assert not torch.allclose(reflected, STREAM)
    again = make(beta_bias=60.0, value_bias=-60.0).join(reflected, UPDATE, None)
    assert torch.allclose(again, STREAM)  # its own inverse


def test_beta_of_one_writes_the_value_in_the_place_of_what_was_there() -> None:
    joined = make(beta_bias=0.0, value_bias=0.0).join(STREAM, UPDATE, None)
    assert torch.allclose(along(joined), torch.full((3, 5), 2.0, dtype=torch.float64))  # 4 sigmoid(0)


@pytest.mark.parametrize("initial_beta", [0.1, 1.0, 1.9])
def test_starts_at_its_initial_beta(initial_beta: float) -> None:
    connection = DeepDelta(PLACE, initial_beta=initial_beta, value_range=4.0, epsilon=1e-5).double()
    moved = along(connection.join(STREAM, UPDATE, None) - STREAM)
    assert torch.allclose(moved, initial_beta * (2 - along(STREAM)), atol=1e-6)


def test_moves_nothing_across_the_updates_direction() -> None:
    connection = make()
    torch.nn.init.normal_(connection.beta_weight, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(connection.value_weight, generator=torch.Generator().manual_seed(2))
    moved = connection.join(STREAM, UPDATE, None) - STREAM
    direction = UPDATE / UPDATE.norm(dim=1, keepdim=True)
    assert torch.allclose(moved, along(moved)[:, None] * direction, atol=1e-9)
    assert along(moved).abs().min() > 1e-3


def test_a_vanishing_update_moves_nothing_and_has_a_finite_gradient() -> None:
    update = torch.zeros_like(UPDATE).requires_grad_()
    joined = make().join(STREAM, update, None)
    joined.square().sum().backward()
    assert torch.equal(joined, STREAM)
    assert update.grad.isfinite().all()
    assert update.grad.any()
