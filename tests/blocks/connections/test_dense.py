import pytest
import torch
from torch import nn

from skiplab.blocks.connections.dense import Dense
from skiplab.blocks.specification import JoinSpec

WIDTH = 4
GENERATOR = torch.Generator().manual_seed(0)
STREAM = torch.randn(3, WIDTH, 5, generator=GENERATOR)
UPDATES = torch.randn(3, 3, WIDTH, 5, generator=GENERATOR)


def make(num_joins: int) -> list[Dense]:
    specs = [
        JoinSpec(width=WIDTH, index=index, num_joins=num_joins, position=index, cond_width=0)
        for index in range(num_joins)
    ]
    return [Dense(spec) for spec in specs]


def run(joins: list[Dense]) -> list[torch.Tensor]:
    """What is read before each join, and what is closed after the last."""
    memory = joins[0].open(STREAM)
    seen = []
    for join, update in zip(joins, UPDATES, strict=False):
        seen.append(join.read(memory, None))
        memory = join.write(memory, update, None, nn.Identity())
    return [*seen, joins[-1].close(memory)]


def test_the_first_branch_reads_the_input_and_each_other_a_projection_of_all_before_it() -> None:
    joins = make(3)
    seen = run(joins)
    assert torch.equal(seen[0], STREAM)
    entries = [STREAM, *UPDATES]
    for number, join in enumerate(joins, start=1):
        blocks = join.weight.split(WIDTH, dim=1)
        assert len(blocks) == number + 1
        expected = sum(
            torch.stack([block @ sample for sample in entry]) for block, entry in zip(blocks, entries, strict=False)
        )
        assert torch.allclose(seen[number], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["identity", "plain"])
def test_contains_the_identity_and_plain(kind: str) -> None:
    joins = make(3)
    with torch.no_grad():
        for join in joins:
            ones = torch.eye(WIDTH).repeat(1, join.weight.shape[1] // WIDTH)
            if kind == "plain":
                ones[:, :-WIDTH] = 0
            join.weight.copy_(ones)
    expected = STREAM + UPDATES.sum(dim=0) if kind == "identity" else UPDATES[-1]
    assert torch.allclose(run(joins)[-1], expected, atol=1e-6)


def test_keeps_the_variance_of_its_entries_at_the_start() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dense = Dense(JoinSpec(width=100, index=0, num_joins=1, position=0, cond_width=0))
    stream, update = torch.randn(2, 300, 100, generator=torch.Generator().manual_seed(1))
    closed = dense.close(dense.write(dense.open(stream), update, None, nn.Identity()))
    assert abs(closed.var().item() - 1) < 0.05
