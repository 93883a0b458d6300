"""What can be read back equals scikit-learn's ridge and a Fourier transform written out; bands hold all energy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import drawn
from sklearn.linear_model import RidgeCV

from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import outputs
from skiplab.evaluators.linear_probe import BANDS, LinearProbe, bands, read
from small_networks import DATA


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_bands(images: np.ndarray) -> list[np.ndarray]:
    """Each frequency's wave, weighted by its amplitude, added to its band by hand."""
    side = images.shape[-1]
    parts = [np.zeros(images.shape) for _ in BANDS]
    for u in range(side):
        for v in range(side):
            phase = np.array([[2j * np.pi * (u * i + v * j) / side for j in range(side)] for i in range(side)])
            amplitude = (images * np.exp(-phase)).sum(axis=(-2, -1), keepdims=True)
            radius = 2 * max(min(u, side - u), min(v, side - v)) / side
            band = 0 if radius < 1 / 3 else 1 if radius < 2 / 3 else 2
            parts[band] += (amplitude * np.exp(phase)).real / side**2
    return parts


def test_bands_equal_a_transform_written_out_and_add_up_to_the_image() -> None:
    images = draw(3, 2, 8, 8)
    found = bands(images)
    assert np.allclose(found.numpy(), np.concatenate(slow_bands(images.double().numpy()), axis=1), atol=1e-12)
    assert torch.allclose(found.unflatten(1, (3, 2)).sum(dim=1), images.double(), atol=1e-12)


@pytest.mark.parametrize(
    ("pattern", "band"), [(torch.ones(8), 0), (torch.tensor([1.0, 0, -1, 0] * 2), 1), (torch.tensor([1.0, -1] * 4), 2)]
)
def test_waves_lie_in_their_band(pattern: torch.Tensor, band: int) -> None:
    parts = bands(pattern.expand(1, 1, 8, 8))[0]
    assert torch.allclose(parts[band], pattern.double().expand(8, 8), atol=1e-12)


def information() -> LinearProbe:
    return LinearProbe(num_images=30, num_levels=2)


def leave_one_out(features: np.ndarray, target: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Ridge regression of one output, its penalty chosen by fitting without each sample in turn."""

    def fitted(x: np.ndarray, y: np.ndarray, penalty: float):
        center, middle = x.mean(axis=0), y.mean()
        gram = (x - center).T @ (x - center) + penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, (x - center).T @ (y - middle))
        return lambda new: middle + (new - center) @ weights

    kept = [np.arange(len(target)) != index for index in range(len(target))]
    errors = [
        sum(float(fitted(features[k], target[k], p)(features[~k])[0] - target[~k][0]) ** 2 for k in kept)
        for p in PENALTIES
    ]
    return fitted(features, target, PENALTIES[int(np.argmin(errors))])(others)


PENALTIES = np.logspace(-4, 4, 9) * 24


def test_reading_equals_leaving_each_image_out_by_hand() -> None:
    target = draw(24, 3).double()
    mix = draw(3, 6, seed=1).double()
    stream, unseen = (target @ mix + 0.5 * draw(24, 6, seed=2).double()), draw(5, 6, seed=3).double()
    scale = stream.numpy().std()
    found = read([stream[:, :, None, None]], target, [unseen[:, :, None, None]])
    for column in range(3):
        expected = leave_one_out(stream.numpy() / scale, target[:, column].numpy(), unseen.numpy() / scale)
        assert found[:, column].numpy() == pytest.approx(expected, abs=1e-8)


def test_reading_equals_scikit_learns_where_features_outnumber_samples() -> None:
    target = draw(24, 4).double()
    mix = draw(4, 60, seed=1).double()
    stream, unseen = (target @ mix + 2.0 * draw(24, 60, seed=2).double()), draw(5, 60, seed=3).double()
    scale = stream.numpy().std()
    by_hand = RidgeCV(alphas=PENALTIES, alpha_per_target=True).fit(stream.numpy() / scale, target.numpy())
    assert len(set(by_hand.alpha_)) > 1
    assert read([stream], target, [unseen]).numpy() == pytest.approx(by_hand.predict(unseen.numpy() / scale), abs=1e-8)


def test_a_stream_that_says_nothing_is_read_as_the_mean() -> None:
    target = draw(24, 2).double()
    found = read([torch.ones(24, 3)], target, [torch.ones(5, 3)])
    torch.testing.assert_close(found, target.mean(dim=0).expand(5, 2))


def test_reading_two_streams_takes_each_in_units_of_its_deviation() -> None:
    target, mixed = draw(24, 3).double(), [draw(24, 4, seed=1).double(), 100 * draw(24, 2, seed=2).double()]
    unseen = [draw(5, 4, seed=3).double(), 100 * draw(5, 2, seed=4).double()]
    scales = [float(stream.std(correction=0)) for stream in mixed]
    scaled = [
        torch.cat([part / scale for part, scale in zip(parts, scales, strict=True)], dim=1) for parts in (mixed, unseen)
    ]
    by_hand = RidgeCV(alphas=PENALTIES, alpha_per_target=True).fit(scaled[0].numpy(), target.numpy())
    assert read(mixed, target, unseen).numpy() == pytest.approx(by_hand.predict(scaled[1].numpy()), abs=1e-8)


def test_shares_are_of_what_each_block_and_the_input_hold(trained) -> None:
    blocks, from_input = information().fractions(trained.model, trained)
    assert blocks.shape == (4, 2, 3)
    seen, clean, noisy = [], {}, {}
    handle = trained.model.encoder[0].register_forward_hook(lambda module, arguments, output: seen.append(output))
    for split in ("train", "val"):
        (x0, _, noised), _ = information().eval_batch.noised(trained.objective, trained.split(split), split)
        clean[split], noisy[split] = slow_bands(x0.double().numpy()), noised.x_t
        outputs(trained.objective, trained.model, noised)
    handle.remove()
    for (stream, unseen), fractions in ((seen, blocks[0, 0]), ((noisy["train"], noisy["val"]), from_input[0])):
        for band in range(3):
            target, val_target = clean["train"][band], clean["val"][band]
            error = read([stream], torch.from_numpy(target), [unseen]).numpy() - val_target
            expected = 1 - (error**2).sum() / ((val_target - target.mean(axis=0)) ** 2).sum()
            assert float(fractions[band]) == pytest.approx(max(0.0, expected), abs=1e-9)


def test_summary_is_of_the_high_band(trained) -> None:
    result = information().evaluate(trained)
    blocks, from_input = (fractions.numpy() for fractions in information().fractions(trained.model, trained))
    assert result.summary["detail_worst_block"] == pytest.approx(blocks[:, :, 2].mean(axis=1).min())
    assert result.summary["detail_last_block"] == pytest.approx(blocks[-1, :, 2].mean())
    for band, name in enumerate(("low", "middle", "high")):
        line = drawn(result, "detail_by_block", f"trained, {name}")
        here = [from_input[:, band].mean(), *blocks[:, :, band].mean(axis=1)]
        assert list(line.values()) == pytest.approx(here[1:] + here[:1])
    assert drawn(result, "detail_by_block", "untrained, high") != line
    assert list(drawn(result, "detail_by_noise", "noisy input").values()) == pytest.approx(from_input[:, 2])
    assert list(drawn(result, "detail_by_noise", "worst block").values()) == pytest.approx(blocks[:, :, 2].min(axis=0))


def test_a_clean_input_is_read_whole(trained) -> None:
    """At the lowest noise the input's own fraction is nearly one in every band, at the highest nearly none."""
    _, fractions = LinearProbe(num_images=200, num_levels=20).fractions(trained.model, trained)
    assert fractions[0].min() > 0.95
    assert fractions[-1].max() < 0.1
    assert (fractions[:, 2] <= fractions[:, 0] + 0.05).all(), "noise hides fine detail first"


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_data_without_frequency_bands_are_refused(shape: tuple[int, ...], trained) -> None:
    data = DATA["points"] if shape == (2,) else type(DATA["points"])(*shape)
    with pytest.raises(SkiplabError, match=r"evaluator=linear_probe reads frequency bands.*remove it from"):
        information().check(trained.objective, data, "linear_probe")
    information().check(trained.objective, trained.data, "linear_probe")


def test_the_network_is_left_as_it_was(trained) -> None:
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    first = information().evaluate(replace(trained))
    assert first == information().evaluate(replace(trained))
    assert all(torch.equal(value, before[name]) for name, value in trained.model.state_dict().items())
    assert not any("memories" in vars(module) for module in trained.model.modules())
