import math

import pytest
import torch

from skiplab.blocks.connections.highway_gate import HighwayGate
from skiplab.blocks.specification import JoinSpec

PLACE = JoinSpec(width=3, index=0, num_joins=1, position=0, cond_width=0)
STREAM = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
UPDATE = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))


def test_saturated_gates_carry_or_replace_the_stream() -> None:
    assert torch.equal(HighwayGate(PLACE, initial_bias=40.0).join(STREAM, UPDATE, None), UPDATE)
    assert torch.allclose(HighwayGate(PLACE, initial_bias=-40.0).join(STREAM, UPDATE, None), STREAM)


def test_gate_of_a_position_is_the_sigmoid_of_its_own_channels() -> None:
    connection = HighwayGate(PLACE, initial_bias=0.5)
    joined = connection.join(STREAM, UPDATE, None)
    for sample in range(2):
        for position in range(4):
            for channel in range(3):
                logit = 0.5 + sum(
                    connection.weight[channel, other].item() * STREAM[sample, other, position].item()
                    for other in range(3)
                )
                gate = 1 / (1 + math.exp(-logit))
                x, f = STREAM[sample, channel, position].item(), UPDATE[sample, channel, position].item()
                assert joined[sample, channel, position].item() == pytest.approx((1 - gate) * x + gate * f, abs=1e-6)


def test_starts_at_its_bias() -> None:
    connection = HighwayGate(PLACE, initial_bias=-2.0)
    assert connection.bias.tolist() == [-2.0] * 3
    assert 0 < connection.weight.abs().max() <= 3**-0.5
