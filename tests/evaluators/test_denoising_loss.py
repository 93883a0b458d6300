"""The loss at fixed noise equals a slow loop over levels and images."""

import math
from dataclasses import replace
from statistics import NormalDist

import pytest
import torch
from drawn import drawn

from objectives_by_name import denoising
from skiplab.evaluators.denoising_loss import DenoisingLoss
from skiplab.seeding import keyed_generator


def slow(trained, split: str) -> tuple[float, float, float, list[float]]:
    """Loss, zero predictor's loss and error of x0, image by image (epsilon, uniform weights, cosine schedule)."""
    num_images, num_levels = trained.eval_batch.num_images, trained.eval_batch.num_levels
    images = trained.split(split).first(num_images).images
    losses, zeros, x0_errors, by_level = [], [], [], []
    for level in range(num_levels):
        time = 0.01 + (0.99 - 0.01) * (level + 0.5) / num_levels
        alpha, sigma = math.cos(math.pi * time / 2), math.sin(math.pi * time / 2)
        noises = torch.randn(images.shape, generator=keyed_generator(0, f"probe/{split}", level))
        here = []
        for image, noise in zip(images, noises, strict=True):
            x_t = alpha * image + sigma * noise
            with torch.no_grad():
                output = trained.model(x_t[None], torch.tensor([time]))[0]
            here.append(float((output - noise).double().square().sum()) / 64)
            zeros.append(float(noise.double().square().sum()) / 64)
            estimate = (x_t.double() - sigma * output.double()) / alpha
            x0_errors.append(float((estimate - image.double()).square().sum()) / 64)
        by_level.append(sum(here) / num_images)
        losses += here
    count = num_images * num_levels
    return sum(losses) / count, sum(zeros) / count, sum(x0_errors) / count, by_level


def test_equals_a_slow_loop(trained) -> None:
    result = DenoisingLoss().evaluate(trained)
    for split in ("train", "val"):
        loss, zero, x0_error, by_level = slow(trained, split)
        assert result.summary[f"loss_{split}"] == pytest.approx(loss, rel=1e-5)
        assert result.summary[f"skill_{split}"] == pytest.approx(max(0, 1 - loss / zero), rel=1e-4, abs=1e-6)
    assert result.summary["x0_error_val"] == pytest.approx(x0_error, rel=1e-4)
    *_, x0_error_train, _ = slow(trained, "train")
    images = trained.split("train").first(trained.eval_batch.num_images).images
    size = sum(float((image.double() ** 2).mean()) for image in images) / len(images)
    assert result.summary["x0_skill_train"] == pytest.approx(max(0, 1 - x0_error_train / size), rel=1e-4, abs=1e-6)
    assert list(drawn(result, "loss_by_noise").values()) == pytest.approx(by_level, rel=1e-5)


def test_skill_of_an_exploded_network_is_zero(trained) -> None:
    class Exploded(torch.nn.Module):
        def forward(self, x, level, labels):
            return 1e3 * x

    summary = DenoisingLoss().evaluate(replace(trained, model=Exploded())).summary
    assert summary["skill_train"] == summary["skill_val"] == 0.0
    assert summary["loss_val"] > 1e3


def test_is_what_the_finished_trial_recorded(trained, finished) -> None:
    summary = finished.record.read()["summary"]
    for name, value in DenoisingLoss().evaluate(trained).summary.items():
        assert summary[name] == pytest.approx(value, rel=1e-6)


def moment(power: int) -> float:
    """E s^power of EDM's log-normal noise level, between sigma_min and sigma_max, in closed form."""
    mean, std, lowest, highest = -1.2, 1.2, math.log(0.002), math.log(80.0)

    def share(power: int) -> float:
        normal = NormalDist(mean + power * std**2, std)
        return normal.cdf(highest) - normal.cdf(lowest)

    return math.exp(power * mean + power**2 * std**2 / 2) * share(power) / share(0)


@pytest.mark.parametrize(
    ("prediction", "weighting", "mean"),
    [
        ("edm_c_skip_0", "edm", 1 + 0.75**2 * moment(-2)),  # (s^2 + sigma_data^2) / s^2, about 107
        ("edm_c_skip_1", "edm", 1 + moment(2) / 0.75**2),  # (s^2 + sigma_data^2) / sigma_data^2, about 3.8
        ("edm", "edm", 1.0),
        ("edm_c_skip_0", "uniform", 1.0),
        ("edm_c_skip_1", "uniform", 1.0),
    ],
)
def test_mean_weight_of_the_output_is_the_closed_form(trained, prediction, weighting, mean) -> None:
    objective = denoising(prediction, loss_weighting=weighting, noise_schedule="log_normal")
    summary = DenoisingLoss().evaluate(replace(trained, objective=objective)).summary
    assert summary["output_weight_mean"] == pytest.approx(mean, rel=5e-3)  # midpoints cut a tail short
    assert (summary["output_weight_variation"] < 1e-9) == (mean == 1.0)


def test_variation_of_the_output_weight_is_standard_deviation_over_mean(trained) -> None:
    """With weight SNR the velocity's is alpha^2 = cos^2(pi t / 2), t in [.01, .99]: mean 1/2, variance near 1/8."""
    objective = denoising("velocity", loss_weighting="snr", noise_schedule="cosine")
    summary = DenoisingLoss().evaluate(replace(trained, objective=objective)).summary
    variance = 1 / 8 - math.sin(math.pi * 0.02) / (8 * math.pi * 0.98)  # of cos(pi t) / 2
    assert summary["output_weight_mean"] == pytest.approx(0.5, rel=1e-6)
    assert summary["output_weight_variation"] == pytest.approx(math.sqrt(variance) / 0.5, rel=1e-5)
