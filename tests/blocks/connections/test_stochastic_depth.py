import itertools

import pytest
import torch

from skiplab.blocks.connections.stochastic_depth import StochasticDepth
from skiplab.blocks.specification import JoinSpec

STREAM, UPDATE = torch.tensor([[1.0], [2.0]]), torch.tensor([[10.0], [-20.0]])


def make(index: int, num_joins: int, last_survival: float) -> StochasticDepth:
    spec = JoinSpec(width=1, index=index, num_joins=num_joins, position=index, cond_width=0)
    return StochasticDepth(spec, last_survival=last_survival)


def test_survival_falls_linearly_to_its_least_at_the_last_join() -> None:
    assert [make(index, 4, 0.5).survival for index in range(4)] == pytest.approx([0.875, 0.75, 0.625, 0.5])
    assert make(0, 1, 0.3).survival == pytest.approx(0.3)


def test_drops_a_whole_batch_as_often_as_its_survival_says() -> None:
    connection = make(0, 1, 0.7).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        joined = [connection.join(STREAM, UPDATE, None).flatten().tolist() for _ in range(2000)]
    survived = joined.count([11.0, -18.0])
    assert survived + joined.count([1.0, 2.0]) == 2000
    assert abs(survived / 2000 - 0.7) < 0.05  # five standard errors


def test_evaluation_is_the_expectation_over_every_pattern_of_drops(monkeypatch) -> None:
    """For linear branches the mean over all 2^3 thinned networks is exact."""
    joins, slopes = [make(index, 3, 0.4) for index in range(3)], [2.0, -0.5, 3.0]

    def run(x: torch.Tensor) -> torch.Tensor:
        for join, slope in zip(joins, slopes, strict=True):
            x = join.join(x, slope * x, None)
        return x

    expectation = torch.zeros_like(STREAM)
    for pattern in itertools.product((True, False), repeat=3):
        # below every survival probability, or above it
        draws = iter([torch.tensor(0.0 if survives else 1.0) for survives in pattern])
        monkeypatch.setattr(torch, "rand", lambda *size, draws=draws, **where: next(draws))
        chance = 1.0
        for join, survives in zip(joins, pattern, strict=True):
            chance *= join.train().survival if survives else 1 - join.survival
        expectation += chance * run(STREAM)
    for join in joins:
        join.eval()
    assert torch.allclose(run(STREAM), expectation)


def test_a_dropped_branch_gets_a_gradient_of_zero(monkeypatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda *size, **where: torch.tensor(1.0))
    update = UPDATE.clone().requires_grad_()
    make(0, 1, 0.5).train().join(STREAM, update, None).sum().backward()
    assert torch.equal(update.grad, torch.zeros_like(update))


def test_the_global_generator_decides() -> None:
    connection = make(0, 1, 0.5).train()
    patterns = []
    for seed in (1, 1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            patterns.append([connection.join(STREAM, UPDATE, None)[0].item() for _ in range(32)])
    assert patterns[0] == patterns[1] != patterns[2]
