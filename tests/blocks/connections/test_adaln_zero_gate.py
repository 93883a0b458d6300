import pytest
import torch
from torch.nn import functional as F

from skiplab.blocks.connections.adaln_zero_gate import AdaLNZeroGate
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError

PLACE = JoinSpec(width=3, index=0, num_joins=1, position=0, cond_width=2)
GENERATOR = torch.Generator().manual_seed(0)
STREAM, UPDATE = torch.randn(2, 2, 3, 4, generator=GENERATOR)
COND = torch.randn(2, 2, generator=GENERATOR)


def test_starts_as_its_input() -> None:
    assert torch.equal(AdaLNZeroGate(PLACE).join(STREAM, UPDATE, COND), STREAM)


def test_gates_each_channel_of_a_sample_by_its_own_conditioning() -> None:
    connection = AdaLNZeroGate(PLACE)
    with torch.no_grad():
        connection.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
        connection.bias.copy_(torch.tensor([0.0, 0.5, -1.0]))
    added = connection.join(STREAM, UPDATE, COND) - STREAM
    activated = F.silu(COND)
    for sample in range(2):
        expected = [activated[sample, 0], 2 * activated[sample, 1] + 0.5, torch.tensor(-1.0)]
        for channel in range(3):
            assert torch.allclose(added[sample, channel], expected[channel] * UPDATE[sample, channel], atol=1e-6)


def test_needs_conditioning() -> None:
    with pytest.raises(SkiplabError, match="needs conditioning"):
        AdaLNZeroGate(JoinSpec(width=3, index=0, num_joins=1, position=0, cond_width=0))
