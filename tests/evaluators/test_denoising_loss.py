"""The loss at fixed noise equals a slow loop over levels and images."""

import math

import pytest
import torch
from drawn import drawn

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
    assert list(drawn(result, "loss_by_noise").values()) == pytest.approx(by_level, rel=1e-5)


def test_skill_of_an_exploded_network_is_zero(trained) -> None:
    from dataclasses import replace

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
