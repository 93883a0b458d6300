import math

import pytest
import torch
from torch import nn

from skiplab.blocks.connections.attention_residuals import AttentionResiduals
from skiplab.blocks.specification import JoinSpec

WIDTH = 3
GENERATOR = torch.Generator().manual_seed(0)
STREAM = torch.randn(2, WIDTH, 4, generator=GENERATOR)
UPDATES = torch.randn(3, 2, WIDTH, 4, generator=GENERATOR)


def make(index: int = 0) -> AttentionResiduals:
    spec = JoinSpec(width=WIDTH, index=index, num_joins=3, position=index, cond_width=0)
    return AttentionResiduals(spec, epsilon=1e-6)


def test_attention_over_one_entry_returns_it() -> None:
    connection = make()
    assert torch.equal(connection.read(connection.open(STREAM), None), STREAM)
    nn.init.normal_(connection.query, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(connection.attend((STREAM,)), STREAM)


def test_starts_as_the_mean_of_all_entries() -> None:
    joins = [make(index) for index in range(3)]
    memory = joins[0].open(STREAM)
    for number, (join, update) in enumerate(zip(joins, UPDATES, strict=True), start=1):
        memory = join.write(memory, update, None, nn.Identity())
        mean = (STREAM + UPDATES[:number].sum(dim=0)) / (number + 1)
        assert torch.allclose(join.close(memory), mean, atol=1e-6)


def test_weights_are_the_softmax_of_query_and_normalised_keys() -> None:
    connection = make()
    with torch.no_grad():
        connection.query.copy_(torch.tensor([0.5, -1.0, 2.0]))
    attended = connection.attend((STREAM, *UPDATES))
    for sample in range(2):
        for position in range(4):
            values = [entry[sample, :, position].tolist() for entry in (STREAM, *UPDATES)]
            scores = []
            for value in values:
                root_mean_square = math.sqrt(sum(v * v for v in value) / WIDTH)
                scores.append(math.exp((0.5 * value[0] - value[1] + 2 * value[2]) / root_mean_square))
            for channel in range(WIDTH):
                expected = sum(s * v[channel] for s, v in zip(scores, values, strict=True)) / sum(scores)
                assert attended[sample, channel, position].item() == pytest.approx(expected, abs=1e-5)


def test_the_size_of_an_entry_changes_no_weight() -> None:
    connection = make()
    with torch.no_grad():
        connection.query.copy_(torch.tensor([0.5, -1.0, 2.0]))
    update = UPDATES[0]
    once, tenfold = connection.attend((STREAM, update)), connection.attend((STREAM, 10 * update))
    weight = (once - STREAM) / (update - STREAM)
    assert torch.allclose(tenfold, (1 - weight) * STREAM + weight * 10 * update, atol=1e-4)


def test_a_sharp_query_picks_one_entry() -> None:
    connection = make()
    with torch.no_grad():
        connection.query.copy_(torch.tensor([100.0, 0.0, 0.0]))
    up, down = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[-1.0, 5.0, 1.0]])
    assert torch.allclose(connection.attend((down, up, down)), up)
