import torch

from skiplab.blocks.connections.dropout_shortcut import DropoutShortcut
from skiplab.blocks.specification import JoinSpec

PLACE = JoinSpec(width=4, index=0, num_joins=1, position=0, cond_width=0)
STREAM, UPDATE = torch.ones(50, 4, 50), torch.full((50, 4, 50), 5.0)


def test_drops_and_rescales_the_stream_alone_in_training() -> None:
    connection = DropoutShortcut(PLACE, ratio=0.2).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        joined = connection.join(STREAM, UPDATE, None)
    dropped, kept = joined == 5.0, joined == 6.25  # 1 / 0.8
    assert (dropped | kept).all()
    assert abs(dropped.float().mean().item() - 0.2) < 0.02  # five standard errors


def test_is_the_identity_in_evaluation_and_at_a_ratio_of_zero() -> None:
    assert torch.equal(DropoutShortcut(PLACE, ratio=0.5).eval().join(STREAM, UPDATE, None), STREAM + UPDATE)
    assert torch.equal(DropoutShortcut(PLACE, ratio=0.0).train().join(STREAM, UPDATE, None), STREAM + UPDATE)
