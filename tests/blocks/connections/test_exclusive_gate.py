import torch

from skiplab.blocks.connections.exclusive_gate import ExclusiveGate
from skiplab.blocks.connections.highway_gate import HighwayGate
from skiplab.blocks.specification import JoinSpec


def test_is_the_highway_gate() -> None:
    spec = JoinSpec(width=3, index=0, num_joins=1, position=0, cond_width=0)
    exclusive, highway = ExclusiveGate(spec, initial_bias=-6.0), HighwayGate(spec, initial_bias=1.0)
    stream, update = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(exclusive.bias, torch.full((3,), -6.0))
    assert not torch.equal(exclusive.join(stream, update, None), highway.join(stream, update, None))
    exclusive.load_state_dict(highway.state_dict())
    assert torch.equal(exclusive.join(stream, update, None), highway.join(stream, update, None))
