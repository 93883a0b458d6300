"""CKA equals its definition, is blind to turns and scales, and finds nothing where streams have nothing in common."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skiplab.blocks.block import Join
from skiplab.errors import SkiplabError
from skiplab.evaluators.cka import CKA, linear_cka
from skiplab.objectives.cross_entropy import CrossEntropy
from small_networks import DATA, small
from tiny_trials import network


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_kernels(first: np.ndarray, second: np.ndarray) -> float:
    """Eq. 3 of Nguyen et al. with linear kernels, written out."""
    n, ones = len(first), np.ones(len(first))

    def hsic(x: np.ndarray, y: np.ndarray) -> float:
        k, m = (part @ part.T * (1 - np.eye(n)) for part in (x, y))
        sums = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + sums - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))

    return hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))


def test_equals_its_definition() -> None:
    streams = [draw(12, 3, 2, 2) + 5, draw(12, 4, 3, seed=1), draw(12, 30, seed=2)]
    found = linear_cka(streams)
    flat = [stream.flatten(1).double().numpy() for stream in streams]
    for row, first in enumerate(flat):
        for column, second in enumerate(flat):
            assert float(found[row, column]) == pytest.approx(by_kernels(first, second), abs=1e-9)


@pytest.mark.parametrize("rank", [64, 1024])
def test_streams_with_nothing_in_common_have_none_however_many_features_they_have(rank: int) -> None:
    """The biased estimator gives .20 and .80 here."""
    streams = [draw(256, rank, seed=seed) for seed in range(8)]
    found = linear_cka(streams)
    assert torch.allclose(found.diagonal(), torch.ones(8, dtype=torch.float64))
    apart = found[~torch.eye(8, dtype=torch.bool)]
    assert apart.abs().max() < 0.03
    assert abs(apart.mean()) < 0.01


def test_turned_shifted_and_scaled_streams_are_the_same() -> None:
    stream = draw(20, 6)
    turn = torch.linalg.qr(draw(6, 6, seed=1)).Q
    assert float(linear_cka([stream, 1e-7 * (stream @ turn + 3)])[0, 1]) == pytest.approx(1, abs=1e-6)
    assert float(linear_cka([stream, stream @ draw(6, 6, seed=2)])[0, 1]) < 0.99


def test_a_stream_that_says_the_same_of_all_images_is_like_nothing() -> None:
    assert linear_cka([torch.ones(5, 3), draw(5, 3)])[0].tolist() == [0, 0]


# Streams of images, of patches, of tokens behind one of the noise level, of points.
HOMES = {
    "isotropic": {"branch": "preact", "long_skip": "none", "depth": 3},
    "dit": {"branch": "mlp", "long_skip": "none", "depth": 3},
    "uvit": {"branch": "mlp", "long_skip": "concat", "depth": 5},
    "mlp": {"branch": "mlp", "long_skip": "none", "depth": 1},
}


@pytest.mark.parametrize("backbone", HOMES)
def test_blocks_are_compared_as_a_hook_on_each_sees_them(trained, backbone: str) -> None:
    data = DATA["points" if backbone == "mlp" else "images"]
    model = network(small(backbone=backbone, **HOMES[backbone]), data).eval()
    trained = replace(trained, model=model, data=data, _samples={})
    evaluator = CKA(num_images=15, num_levels=2)
    result = evaluator.evaluate(trained)
    joins = [module for module in model.modules() if isinstance(module, Join)]
    matrices = []
    for *_, noised in evaluator.eval_batch.noised(trained.objective, data.val, "val"):
        seen: list[torch.Tensor] = []
        handles = [
            join.register_forward_hook(lambda m, read, left, seen=seen: seen.append((read[0], left))) for join in joins
        ]
        with torch.no_grad():
            model(noised.x_t, noised.time, None)
        for handle in handles:
            handle.remove()
        places = [seen[0][0], *(left for _, left in seen)]
        flat = [place.flatten(1).double().numpy() for place in places]
        matrices.append([[by_kernels(first, second) for second in flat] for first in flat])
    expected = np.mean(matrices, axis=0)
    depth = HOMES[backbone]["depth"]
    found = {(m.x, m.y): m.value for m in result.measurements}
    assert len(found) == (depth + 1) ** 2
    assert all(found[x, y] == pytest.approx(expected[x, y], abs=1e-6) for x, y in found)
    neighbors = np.mean([expected[place, place + 1] for place in range(depth)])
    assert result.summary["cka_neighbors"] == pytest.approx(neighbors, abs=1e-6)
    assert result.summary["cka_first_last"] == pytest.approx(expected[0, -1], abs=1e-6)


def test_blocks_that_pass_their_input_on_are_all_alike(trained, compose_tiny) -> None:
    """ReZero's gates start closed, in every stage of one resolution."""
    config = compose_tiny("connection=rezero", "backbone=isotropic", "long_skip=none").config
    model = network(config, trained.data).eval()
    result = CKA(num_images=20, num_levels=2).evaluate(replace(trained, model=model))
    assert [m.value for m in result.measurements] == pytest.approx([1.0] * 25)
    assert result.summary == pytest.approx({"cka_neighbors": 1.0, "cka_first_last": 1.0})


def test_classifiers_are_refused(trained) -> None:
    evaluator = CKA(num_images=4, num_levels=2)
    with pytest.raises(SkiplabError, match=r"evaluator=cka measures Denoising networks.*classification"):
        evaluator.check(CrossEntropy(10, label_smoothing=0.0), trained.data, "cka")


def test_three_images_are_refused() -> None:
    with pytest.raises(SkiplabError, match=r"cka\.num_images=3 is invalid; valid: a whole number from 4"):
        CKA(num_images=3, num_levels=2)
