import torch

from skiplab.blocks.connections.shortcut_only_gate import ShortcutOnlyGate
from skiplab.blocks.specification import JoinSpec

PLACE = JoinSpec(width=3, index=0, num_joins=1, position=0, cond_width=0)
STREAM = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
UPDATE = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))


def test_saturated_gates_are_the_identity_or_plain() -> None:
    assert torch.equal(ShortcutOnlyGate(PLACE, initial_bias=40.0).join(STREAM, UPDATE, None), UPDATE)
    assert torch.allclose(ShortcutOnlyGate(PLACE, initial_bias=-40.0).join(STREAM, UPDATE, None), STREAM + UPDATE)


def test_a_gate_of_one_half_halves_the_stream_alone() -> None:
    connection = ShortcutOnlyGate(PLACE, initial_bias=0.0)
    with torch.no_grad():
        connection.weight.zero_()
    assert torch.allclose(connection.join(STREAM, UPDATE, None), 0.5 * STREAM + UPDATE)


def test_a_position_is_gated_by_its_own_channels() -> None:
    connection = ShortcutOnlyGate(PLACE, initial_bias=0.3)
    with torch.no_grad():
        connection.weight.zero_()
        connection.weight[1, 2] = 2.0  # channel 1 is gated by channel 2
    joined = connection.join(STREAM, torch.zeros_like(UPDATE), None)
    assert torch.allclose(joined[:, 1], (1 - torch.sigmoid(0.3 + 2 * STREAM[:, 2])) * STREAM[:, 1])
    assert torch.allclose(joined[:, 0], (1 - torch.sigmoid(torch.tensor(0.3))) * STREAM[:, 0])
