"""Round trips of a denoiser that knows all lose nothing, of one that knows the mean all but that; bands by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from objectives_by_name import denoising, made
from skiplab.errors import SkiplabError
from skiplab.evaluators.linear_probe import BANDS
from skiplab.evaluators.round_trip import RoundTrip, path_from
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.samplers.ddim import DDIM
from skiplab.seeding import keyed_generator
from small_networks import DATA

NUM_IMAGES = 5


def round_trip(**settings) -> RoundTrip:
    return RoundTrip(**({"num_images": NUM_IMAGES, "time": 0.5, "num_steps": [1, 7]} | settings))


class Knows(nn.Module):
    """Predicts the noise of images that it knows; keeps the labels that it is told."""

    def __init__(self, images: torch.Tensor, schedule) -> None:
        super().__init__()
        self.images, self.schedule, self.told = images, schedule, []

    def forward(self, x_t, time, labels):
        self.told.append(labels)
        alpha, sigma = (part.float().view(-1, 1, 1, 1) for part in self.schedule.alpha_sigma(time.double()))
        return (x_t - alpha * self.images) / sigma


def knowing(trained, images: torch.Tensor, objective=None):
    objective = objective or denoising(num_classes=trained.data.num_classes)
    model = Knows(images, objective.noise_schedule)
    return replace(trained, model=model, objective=objective, _samples={})


def shares(result) -> dict[tuple[float, str], float]:
    return {(m.x, m.line): m.value for m in result.measurements}


def test_who_knows_the_images_loses_nothing(trained) -> None:
    images = trained.data.val.first(NUM_IMAGES).images
    result = round_trip().evaluate(knowing(trained, images))
    assert set(shares(result)) == {(steps, band) for steps in (1, 7) for band in BANDS}
    assert all(0 <= share < 1e-8 for share in shares(result).values())


def test_who_knows_but_the_mean_loses_all_of_every_band(trained) -> None:
    mean = trained.data.train.at(slice(None)).images.mean(dim=0)
    result = round_trip().evaluate(knowing(trained, mean))
    assert list(shares(result).values()) == pytest.approx([1.0] * 6, rel=1e-4)
    assert list(result.summary.values()) == pytest.approx([1.0, 1.0], rel=1e-4)


def test_who_swaps_the_images_errs_by_their_difference(trained) -> None:
    """Against a Fourier transform of the differences; by Parseval's theorem its squares add up as the pixels' do."""
    images = trained.data.val.first(NUM_IMAGES).images
    result = round_trip().evaluate(knowing(trained, images.roll(1, dims=0)))
    mean = trained.data.train.at(slice(None)).images.double().mean(dim=0).numpy()
    pixels = images.double().numpy()
    errors, energies = (np.abs(np.fft.fft2(part)) ** 2 for part in (np.roll(pixels, 1, axis=0) - pixels, pixels - mean))
    frequency = np.abs(np.fft.fftfreq(8)) * 2
    radius = np.maximum(frequency[:, None], frequency[None, :])
    bands = [radius < 1 / 3, (radius >= 1 / 3) & (radius < 2 / 3), radius >= 2 / 3]
    expected = [errors[..., band].sum() / energies[..., band].sum() for band in bands]
    for steps in (1, 7):
        assert [shares(result)[steps, band] for band in BANDS] == pytest.approx(expected, rel=1e-4)
    assert result.summary["round_trip_detail_error"] == pytest.approx(expected[2], rel=1e-4)
    assert result.summary["round_trip_error"] == pytest.approx(errors.sum() / energies.sum(), rel=1e-4)


def test_returns_equal_the_deterministic_walk_written_out(trained) -> None:
    """DDIM from the middle of the cosine schedule, image by image, x0 clipped to [-1, 1]."""
    ddim = DDIM(num_steps=20, clip=1.0, guidance_scale=1.0)
    returned = round_trip().returned(replace(trained, sampler=ddim), 4)
    noise = torch.randn(returned.shape, generator=noise_generator())
    for index, (x0, drawn) in enumerate(zip(trained.data.val.first(NUM_IMAGES).images, noise, strict=True)):
        times = np.linspace(0.5, 0.01, 4)
        x = np.cos(np.pi / 2 * times[0]) * x0[None] + np.sin(np.pi / 2 * times[0]) * drawn[None]
        for place, time in enumerate(times):
            alpha, sigma = np.cos(np.pi / 2 * time), np.sin(np.pi / 2 * time)
            with torch.no_grad():
                epsilon = trained.model(x.float(), torch.tensor([time]).float(), None)
            clean = ((x - sigma * epsilon) / alpha).clamp(-1, 1)
            if place < 3:
                later = np.pi / 2 * times[place + 1]
                x = np.cos(later) * clean + np.sin(later) * (x - alpha * clean) / sigma
        assert torch.allclose(returned[index], clean[0].float(), atol=1e-4)


def noise_generator() -> torch.Generator:
    return keyed_generator(0, "round_trip/noise")


@pytest.mark.parametrize("num_steps", [1, 2, 10, 1000])
def test_paths_are_spaced_as_the_schedules_own(num_steps: int) -> None:
    cosine, log_normal = made("noise_schedule", "cosine"), made("noise_schedule", "log_normal")
    straight = np.linspace(0.01 + 0.25 * 0.98, 0.01, num_steps)
    assert path_from(cosine, 0.25, num_steps).numpy() == pytest.approx(straight, abs=1e-12)
    # in Karras' spacing, roots of the noise level are equally spaced, wherever one starts
    path = path_from(log_normal, 0.5, num_steps)
    alpha, sigma = log_normal.alpha_sigma(path)
    start = log_normal.alpha_sigma(torch.tensor((log_normal.time_min + log_normal.time_max) / 2).double())
    roots = np.linspace(float(start[1] / start[0]) ** (1 / 7), 0.002 ** (1 / 7), num_steps)
    assert (sigma / alpha).numpy() ** (1 / 7) == pytest.approx(roots, rel=1e-5)
    for schedule in (cosine, log_normal):
        assert torch.allclose(path_from(schedule, 1.0, num_steps), schedule.path(num_steps), atol=1e-9)


def test_networks_that_are_told_labels_are_told_the_images_own(trained) -> None:
    objective = denoising(conditioning="label", num_classes=10)
    images, labels = trained.data.val.first(NUM_IMAGES)
    knows = knowing(trained, images, objective)
    round_trip(num_steps=[3]).evaluate(knows)
    assert len(knows.model.told) == 3
    assert all(torch.equal(told, labels) for told in knows.model.told)


@pytest.mark.parametrize("option", ["ddpm", "heun", "dpm_solver_2m"])
def test_goes_back_by_any_sampler_and_repeats(trained, option: str) -> None:
    other = replace(trained, sampler=made("sampler", option))
    first = round_trip().evaluate(other)
    assert first == round_trip().evaluate(other)
    assert first.details["sampler"] == type(other.sampler).__name__
    assert first.details["noise_over_signal"] == pytest.approx(1.0), "half way, the cosine schedule's are equal"
    difference = shares(first)[7, "low"] / shares(round_trip().evaluate(trained))[7, "low"]
    assert 0.3 < difference < 3
    assert difference != 1


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_data_without_frequency_bands_are_refused(shape: tuple[int, ...], trained) -> None:
    data = type(DATA["points"])(*shape)
    with pytest.raises(SkiplabError, match=r"evaluator=round_trip measures frequency bands.*remove it from"):
        round_trip().check(trained.objective, data, "round_trip")
    round_trip().check(trained.objective, trained.data, "round_trip")


def test_classifiers_are_refused(trained) -> None:
    with pytest.raises(SkiplabError, match=r"evaluator=round_trip measures Denoising networks.*classification"):
        round_trip().check(CrossEntropy(10, label_smoothing=0.0), trained.data, "round_trip")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_images", 0),
        ("time", 0.0),
        ("time", 1.5),
        ("num_steps", []),
        ("num_steps", [0, 10]),
        ("num_steps", [2.5]),
        ("num_steps", [100, 10]),
        ("num_steps", [10, 10]),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value) -> None:
    with pytest.raises(SkiplabError, match=rf"evaluator\.round_trip\.{name}=.* is invalid; valid: a"):
        round_trip(**{name: value})
