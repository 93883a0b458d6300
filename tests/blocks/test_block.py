"""A stage runs open, write and close as its design says, shortcuts at transitions included."""

import pytest
import torch
from torch import nn

from skiplab.blocks.block import Stage, connect
from skiplab.blocks.branch import Branch
from skiplab.blocks.branches.preact import Preact
from skiplab.blocks.connections.identity import Identity
from skiplab.blocks.connections.plain import Plain
from skiplab.blocks.long_skips.concat import Concat
from skiplab.blocks.shortcuts.zero_pad import ZeroPad
from skiplab.blocks.specification import NetworkSpec


class Tripling(Branch):
    """f(x) = 3 x, or of another shape 1 everywhere; relu after the join."""

    def __init__(self, spec):
        super().__init__(spec)
        self.activation_after_join = nn.ReLU()

    def forward(self, x, cond):
        if self.spec.width_in != self.spec.width_out or self.spec.stride != 1:
            rows, columns = (side // self.spec.stride for side in x.shape[2:])
            return torch.ones(len(x), self.spec.width_out, rows, columns)
        return 3 * x


def stage_of(connection, branch=Tripling, num_blocks=3, **settings) -> Stage:
    spec = NetworkSpec(
        depth=num_blocks,
        width=2,
        shape=(1, 4, 4),
        num_labels=0,
        num_logits=0,
        connection=connection,
        branch=branch,
        shortcut=ZeroPad,
        norm=lambda width: nn.Identity(),
        activation=nn.ReLU,
        long_skip=Concat,
    )
    settings = {"width_in": 2, "width_out": 2, **settings}
    stage = Stage(spec, num_blocks=num_blocks, cond_width=0, position_dims=2, **settings)
    connect([stage], spec)
    return stage


X = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)


def test_identity_adds_and_then_activates() -> None:
    # 1 -> 4 -> 16 -> 64; -1 -> relu(-4) = 0 -> 0
    assert stage_of(Identity)(X, None)[0, :, 0, 0].tolist() == [64.0, 0.0]


def test_plain_replaces_and_then_activates() -> None:
    assert stage_of(Plain)(X, None)[0, :, 0, 0].tolist() == [27.0, 0.0]


def test_streams_are_the_closed_memory_after_each_block() -> None:
    values = [stream[0, 0, 0, 0].item() for stream in stage_of(Identity).streams(X, None)]
    assert values == [4.0, 16.0, 64.0]


def test_transition_adds_the_update_to_the_shortcut() -> None:
    stage = stage_of(Identity, num_blocks=1, width_out=3, stride=2)
    x = torch.arange(32.0).view(1, 2, 4, 4)
    found = stage(x, None)
    assert found.shape == (1, 3, 2, 2)
    assert found[0, 0].tolist() == [[1.0, 3.0], [9.0, 11.0]]  # every other pixel, plus 1
    assert (found[0, 2] == 1).all()  # a new channel starts from zero
    assert stage_of(Plain, num_blocks=1, width_out=3, stride=2)(x, None).eq(1).all()


def test_shortcut_keeps_the_first_of_too_many_channels() -> None:
    x = torch.arange(6.0).view(1, 6)
    assert ZeroPad(6, 2, 1)(x).tolist() == [[0.0, 1.0]]
    assert ZeroPad(6, 8, 1)(x).tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0]]
    assert not list(ZeroPad(6, 8, 2).parameters())


def test_every_join_knows_its_place() -> None:
    specs = [join.connection.spec for join in stage_of(Identity).joins]
    assert [spec.index for spec in specs] == [0, 1, 2]
    assert {(spec.width, spec.num_joins, spec.cond_width) for spec in specs} == {(2, 3, 0)}


class Doubled(Preact):
    """One block of two joins, like a transformer's attention and MLP."""

    def parts(self):
        other = Preact(self.spec, kernel_size=1, bias=True)
        return [self, other]


@pytest.mark.parametrize("connection", [Identity, Plain])
def test_a_block_of_two_joins_is_one_block(connection) -> None:
    stage = stage_of(connection, branch=lambda spec: Doubled(spec, kernel_size=3, bias=True), num_blocks=2)
    assert [join.block_index for join in stage.joins] == [0, 0, 1, 1]
    assert [join.connection.spec.index for join in stage.joins] == [0, 1, 2, 3]
    streams = stage.streams(X, None)
    assert len(streams) == 2
    assert torch.equal(streams[-1], stage(X, None))
