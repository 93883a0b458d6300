import pytest
import torch
from torch import nn

from skiplab.blocks.connections.hyper_connections import HyperConnections
from skiplab.blocks.specification import JoinSpec

WIDTH, STREAMS = 4, 3
GENERATOR = torch.Generator().manual_seed(0)
MEMORY = torch.randn(2, STREAMS, WIDTH, 5, generator=GENERATOR, dtype=torch.float64)
UPDATE = torch.randn(2, WIDTH, 5, generator=GENERATOR, dtype=torch.float64)


def make(*, position: int = 1, dynamic: bool = False, randomised: bool = False) -> HyperConnections:
    spec = JoinSpec(width=WIDTH, index=position, num_joins=6, position=position, cond_width=0)
    connection = HyperConnections(spec, num_streams=STREAMS, dynamic=dynamic, initial_scale=0.01).double()
    if randomised:
        for number, parameter in enumerate(connection.parameters()):
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))
    return connection


@pytest.mark.parametrize("dynamic", [False, True])
def test_starts_by_reading_one_stream_in_turn_and_writing_to_all(dynamic: bool) -> None:
    for position in range(1, 6):
        connection = make(position=position, dynamic=dynamic)
        assert torch.equal(connection.read(MEMORY, None), MEMORY[:, position % STREAMS])
        written = connection.write(MEMORY, UPDATE, None, nn.Identity())
        assert torch.allclose(written, MEMORY + UPDATE[:, None])


def test_a_memory_opens_as_copies_and_closes_as_their_mean() -> None:
    connection = make(position=0)
    opened = connection.open(UPDATE)
    assert opened.shape == (2, STREAMS, WIDTH, 5)
    assert torch.equal(connection.read(opened, None), UPDATE)
    assert torch.allclose(connection.close(opened), UPDATE)
    assert torch.allclose(connection.close(MEMORY), sum(MEMORY[:, stream] for stream in range(STREAMS)) / STREAMS)


@pytest.mark.parametrize("dynamic", [False, True])
def test_follows_the_matrices_of_the_source_at_every_position(dynamic: bool) -> None:
    connection = make(dynamic=dynamic, randomised=True)
    read, written = connection.read(MEMORY, None), connection.write(MEMORY, UPDATE, None, nn.Identity())
    parts = {"reading": connection.reading, "mixing": connection.mixing, "writing": connection.writing}
    for sample in range(2):
        for position in range(5):
            streams = MEMORY[sample, :, :, position]  # H, one stream a row
            matrices = {}
            for name, part in parts.items():
                matrices[name] = part.static.clone()
                if dynamic:
                    centred = streams - streams.mean(dim=1, keepdim=True)
                    normed = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
                    matrices[name] += part.scale * torch.tanh(normed @ part.weight)
            assert torch.allclose(read[sample, :, position], (matrices["reading"].T @ streams)[0])
            expected = matrices["mixing"].T @ streams + matrices["writing"] @ UPDATE[sample, :, position][None]
            assert torch.allclose(written[sample, :, :, position], expected)


def test_static_has_the_sources_number_of_parameters_and_dynamic_adds_to_them() -> None:
    count = {
        dynamic: sum(parameter.numel() for parameter in make(dynamic=dynamic).parameters()) for dynamic in (False, True)
    }
    assert count[False] == STREAMS * (STREAMS + 2)
    assert count[True] == count[False] + WIDTH * (STREAMS + 2) + 3


def test_streams_part_in_training() -> None:
    """Equal streams get unequal gradients, since each join reads another of them."""
    joins = [make(position=position) for position in range(3)]
    memory = joins[0].open(UPDATE)
    for number, join in enumerate(joins):
        memory = join.write(memory, torch.tanh((number + 1) * join.read(memory, None)), None, nn.Identity())
    joins[-1].close(memory).square().sum().backward()
    gradient = joins[0].writing.static.grad.flatten()
    assert (gradient[1:] - gradient[:-1]).abs().min() > 1e-3
