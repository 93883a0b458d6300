"""Probes are the same for every trial on the same data."""

import pytest
import torch

from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches import eval_batch
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch, outputs


@pytest.fixture(scope="module")
def baselines(run, tmp_path_factory):
    """What the zero predictor loses in two trials that differ in seed, arm and depth."""
    runs_dir = tmp_path_factory.mktemp("probes")
    trials = [
        run(runs_dir, "trainer.max_steps=1", "evaluator=[baselines]", *overrides)
        for overrides in ([], ["seed=1", "connection=plain", "depth=8"])
    ]
    return [trial.record.read()["summary"] for trial in trials]


def test_are_the_same_for_every_seed_and_arm(baselines) -> None:
    one, other = baselines
    assert one["loss_zero"] == other["loss_zero"]
    assert one["loss_affine"] == other["loss_affine"]


def test_noise_differs_between_levels_and_splits(trained) -> None:
    train = trained.eval_batch.noised(trained.objective, trained.data.train, "train")
    val = trained.eval_batch.noised(trained.objective, trained.data.train, "val")
    assert not torch.equal(train[0][1], train[1][1])
    assert not torch.equal(train[0][1], val[0][1])
    again = trained.eval_batch.noised(trained.objective, trained.data.train, "train")
    assert torch.equal(train[0][1], again[0][1])


def test_levels_are_the_middles_of_equal_bands(trained) -> None:
    times = [
        float(noised.time[0])
        for *_, noised in EvalBatch(num_images=2, num_levels=4).noised(trained.objective, trained.data.val, "val")
    ]
    assert times == pytest.approx([0.01 + 0.98 * share for share in (0.125, 0.375, 0.625, 0.875)])


def test_outputs_in_batches_equal_outputs_at_once(trained, monkeypatch) -> None:
    (*_, noised), *_ = trained.eval_batch.noised(trained.objective, trained.data.val, "val")
    whole = outputs(trained.objective, trained.model, noised)
    monkeypatch.setattr(eval_batch, "inputs_per_call", lambda device, shape: 5)
    parts = outputs(trained.objective, trained.model, noised)
    assert len(parts) == trained.eval_batch.num_images > 5
    assert torch.allclose(parts, whole, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "size"), [((2,), 128), ((1, 8, 8), 128), ((3, 16, 16), 128), ((1, 28, 28), 64), ((3, 32, 32), 64)]
)
def test_fewer_large_inputs_go_through_the_network_at_once(shape: tuple[int, ...], size: int) -> None:
    assert eval_batch.inputs_per_call(torch.device("cpu"), shape) == size


@pytest.mark.parametrize(("num_images", "num_levels"), [(0, 1), (1, 0), (-1, 3)])
def test_refuses_to_measure_nothing(num_images: int, num_levels: int) -> None:
    with pytest.raises(SkiplabError, match="valid: whole numbers from 1"):
        EvalBatch(num_images=num_images, num_levels=num_levels)
