"""The kernel distance equals a slow loop over pairs, on the same subsets."""

from dataclasses import replace

import pytest
import torch

from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.kernel_distance import KernelDistance
from skiplab.seeding import keyed_seed


def kernel(x: list[float], y: list[float]) -> float:
    return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3


def slow_mmd(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Unbiased: pairs of a sample with itself are left out."""
    xs, ys = real.double().tolist(), fake.double().tolist()
    n = len(xs)
    within = sum(kernel(group[i], group[j]) for group in (xs, ys) for i in range(n) for j in range(n) if i != j) / (
        n * (n - 1)
    )
    across = sum(kernel(x, y) for x in xs for y in ys) / n**2
    return within - 2 * across


def test_equals_a_slow_loop_on_the_same_subsets(trained) -> None:
    result = KernelDistance(num_samples=40, num_subsets=3, subset_size=15).evaluate(trained)
    with torch.no_grad():
        real = trained.extractor(trained.data.train.at(slice(None)).images)
        fake = trained.extractor(trained.samples(40))
    values = []
    with torch.random.fork_rng():
        torch.manual_seed(keyed_seed(0, "kernel/subsets"))
        for _ in range(3):
            chosen = torch.randperm(len(real))[:15]
            values.append(slow_mmd(real[chosen], fake[torch.randperm(40)[:15]]))
    mean = sum(values) / 3
    assert result.summary["kernel_distance"] == pytest.approx(mean, rel=1e-9)
    spread = (sum((value - mean) ** 2 for value in values) / 3) ** 0.5
    assert result.details["spread_over_subsets"] == pytest.approx(spread, rel=1e-9)


def test_one_subset_of_everything_needs_no_luck(trained) -> None:
    """With as many real images as samples as one subset, the order doesn't matter."""
    data = Dataset()
    data.train = Split(*trained.data.train.first(20))
    few = replace(trained, data=data, _samples={})
    result = KernelDistance(num_samples=20, num_subsets=1, subset_size=20).evaluate(few)
    with torch.no_grad():
        expected = slow_mmd(few.extractor(data.train.first(20).images), few.extractor(few.samples(20)))
    assert result.summary["kernel_distance"] == pytest.approx(expected, rel=1e-9)


def test_draws_nothing_from_the_global_generator(trained) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = KernelDistance(num_samples=40, num_subsets=3, subset_size=15).evaluate(trained)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert KernelDistance(num_samples=40, num_subsets=3, subset_size=15).evaluate(trained).summary == first.summary


@pytest.mark.parametrize(("num_samples", "num_images"), [(40, 15), (15, 40)])
def test_subsets_hold_as_many_as_there_are(trained, num_samples: int, num_images: int) -> None:
    data = Dataset()
    data.train = Split(*trained.data.train.first(num_images))
    few = replace(trained, data=data, _samples={})
    asked, fitting = (
        KernelDistance(num_samples=num_samples, num_subsets=3, subset_size=size).evaluate(few) for size in (200, 15)
    )
    assert asked == fitting
    assert asked.details["subset_size"] == 15


@pytest.mark.parametrize(("num_subsets", "subset_size", "num_samples"), [(0, 10, 40), (1, 1, 40), (1, 10, 1)])
def test_refuses_impossible_subsets(num_subsets: int, subset_size: int, num_samples: int) -> None:
    with pytest.raises(SkiplabError, match=f"subset_size={subset_size}.*valid: subset_size and num_samples from 2"):
        KernelDistance(num_samples=num_samples, num_subsets=num_subsets, subset_size=subset_size)


def test_refuses_a_single_training_image(trained) -> None:
    data = Dataset()
    data.train = Split(*trained.data.train.first(1))
    with pytest.raises(
        SkiplabError,
        match=r"evaluator=kernel_distance needs at least two training images, but there is only one; remove",
    ):
        KernelDistance(num_samples=40, num_subsets=1, subset_size=15).check(trained.objective, data, "kernel_distance")
