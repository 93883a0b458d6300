import pytest
import torch
from torch import nn

from skiplab.blocks.connections.manifold_hyper_connections import ManifoldHyperConnections
from skiplab.blocks.specification import JoinSpec

WIDTH, STREAMS = 4, 3
GENERATOR = torch.Generator().manual_seed(0)
MEMORY = torch.randn(2, STREAMS, WIDTH, 5, generator=GENERATOR, dtype=torch.float64)
UPDATE = torch.randn(2, WIDTH, 5, generator=GENERATOR, dtype=torch.float64)


def make(*, position: int = 1, randomised: bool = False) -> ManifoldHyperConnections:
    spec = JoinSpec(width=WIDTH, index=position, num_joins=6, position=position, cond_width=0)
    connection = ManifoldHyperConnections(
        spec, num_streams=STREAMS, num_iterations=20, initial_scale=0.01, initial_focus=0.7
    ).double()
    if randomised:
        for number, parameter in enumerate(connection.parameters()):
            nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(number))
    return connection


def test_mixing_is_doubly_stochastic_and_depends_on_the_streams() -> None:
    mixing = make(randomised=True).mixing(MEMORY)
    assert mixing.shape == (2, STREAMS, STREAMS, 5)
    assert (mixing > 0).all()
    assert (mixing.sum(dim=1) - 1).abs().max() < 1e-5
    assert (mixing.sum(dim=2) - 1).abs().max() < 1e-5
    assert mixing.std(dim=(0, 3)).min() > 1e-3


def test_mixing_rescales_rows_and_columns_of_the_exponential() -> None:
    """Sinkhorn's limit is D1 exp(logits) D2: the odds ratios of exp(logits) survive."""
    connection = make(randomised=True)
    logits = connection.res(MEMORY).unflatten(1, (STREAMS, STREAMS))
    mixed = connection.mixing(MEMORY).log()
    mixed = mixed - mixed[:, :1]
    mixed = mixed - mixed[:, :, :1]
    logits = logits - logits[:, :1]
    logits = logits - logits[:, :, :1]
    assert torch.allclose(mixed, logits)


def test_starts_with_the_focus_that_it_is_told() -> None:
    connection = make(position=1)
    mixing = connection.mixing(MEMORY)[0, :, :, 0]
    assert torch.allclose(mixing.diagonal(), torch.full((STREAMS,), 0.7, dtype=torch.float64))
    reading = torch.sigmoid(connection.pre(MEMORY))[0, :, 0]
    assert reading.tolist() == pytest.approx([0.15, 0.15, 0.7], abs=1e-6)  # stream (1 + 1) mod 3


def test_follows_the_equations_of_the_source_at_every_position() -> None:
    connection = make(randomised=True)
    memory = connection.open(UPDATE)._replace(streams=MEMORY)
    written = connection.write(memory, UPDATE, None, nn.Identity())

    def logits(part, streams: torch.Tensor) -> torch.Tensor:
        vector = streams.flatten()
        normed = vector / (vector.square().mean() + 1e-6).sqrt()
        return part.alpha * normed @ part.phi.flatten(0, 1) + part.bias

    for sample in range(2):
        for position in range(5):
            streams, update = MEMORY[sample, :, :, position], UPDATE[sample, :, position]
            res = logits(connection.res, streams).view(STREAMS, STREAMS).exp()
            for _ in range(20):
                res = res / res.sum(dim=0, keepdim=True)
                res = res / res.sum(dim=1, keepdim=True)
            post = 2 * torch.sigmoid(logits(connection.post, streams))
            expected = res @ streams + torch.outer(post, update)
            assert torch.allclose(written.streams[sample, :, :, position], expected)
            read = torch.sigmoid(logits(connection.pre, expected)) @ expected
            assert torch.allclose(written.reading[sample, :, position], read)
    assert torch.equal(connection.read(written, None), written.reading)
    assert torch.equal(connection.close(written), written.reading)


def test_mixing_keeps_the_mean_and_never_grows() -> None:
    connection = make(randomised=True)
    memory = connection.open(UPDATE)._replace(streams=MEMORY)
    mixed = connection.write(memory, torch.zeros_like(UPDATE), None, nn.Identity()).streams
    assert torch.allclose(mixed.mean(dim=1), MEMORY.mean(dim=1), atol=1e-5)
    assert (mixed.norm(dim=1) <= MEMORY.norm(dim=1) + 1e-6).all()
    assert not torch.allclose(mixed, MEMORY, atol=1e-2)


def test_equal_streams_pass_any_doubly_stochastic_mixing() -> None:
    """Why a stage's first join has none."""
    opened = make(randomised=True).open(UPDATE).streams
    mixing = make(randomised=True).mixing(opened)
    assert torch.allclose(torch.einsum("bij...,bjc...->bic...", mixing, opened), opened)
    assert not hasattr(make(position=0), "res")


def test_streams_part_in_training() -> None:
    """Equal streams get unequal gradients, since each join reads another of them most."""
    joins = [make(position=position) for position in range(3)]
    memory = joins[0].open(UPDATE)
    for number, join in enumerate(joins):
        memory = join.write(memory, torch.tanh((number + 1) * join.read(memory, None)), None, nn.Identity())
    joins[-1].close(memory).square().sum().backward()
    gradient = joins[0].post.bias.grad
    assert (gradient[1:] - gradient[:-1]).abs().min() > 1e-4
