"""The training loss equals its definition, sample by sample."""

import math

import pytest
import torch

from objectives_by_name import denoising
from option_files import options
from skiplab.objectives.conditionings.none import NoConditioning
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.loss_weighting import LossWeighting
from skiplab.objectives.noise_schedules.cosine import Cosine
from skiplab.objectives.predictions.epsilon import Epsilon


class TwiceTheSignal(LossWeighting):
    """A weighting that tells samples apart, 2 alpha^2 / sigma of the x0 error, 2 sigma of the noise's error."""

    def of_x0(self, alpha, sigma):
        return 2 * alpha**2 / sigma


def halve(x_t, level, labels):
    return 0.5 * x_t


def test_loss_equals_a_loop_over_samples() -> None:
    objective = Denoising(
        1,
        prediction=Epsilon(),
        loss_weighting=TwiceTheSignal(),
        noise_schedule=Cosine(time_min=0.01, time_max=0.99),
        conditioning=NoConditioning(),
    )
    x0 = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    found = objective.loss(halve, x0, torch.zeros(6, dtype=torch.long), torch.Generator().manual_seed(7))
    assert found.shape == (6,)
    generator = torch.Generator().manual_seed(7)
    times = 0.01 + 0.98 * torch.rand(6, generator=generator)
    noises = torch.randn(x0.shape, generator=generator)
    for loss, image, noise, time in zip(found, x0, noises, times.tolist(), strict=True):
        alpha, sigma = math.cos(math.pi * time / 2), math.sin(math.pi * time / 2)
        output = 0.5 * (alpha * image + sigma * noise)
        expected = (
            2
            * sigma
            * sum((float(o) - float(n)) ** 2 for o, n in zip(output.flatten(), noise.flatten(), strict=True))
            / 9
        )
        assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("noise_schedule", options("noise_schedule"))
def test_the_network_reads_its_inputs_type_whatever_the_times_type(noise_schedule: str) -> None:
    seen = []

    def record(x, time, labels):
        seen.append((x.dtype, time.dtype))
        return x

    objective = denoising("edm", noise_schedule=noise_schedule)
    x_t, time = torch.ones(3, 1, 2, 2), torch.full((3,), 0.5, dtype=torch.float64)
    output = objective.predict(record, x_t, time)
    estimate = objective.estimate(output, x_t, time)
    assert seen == [(torch.float32, torch.float32)]
    assert estimate.x0.dtype == estimate.noise.dtype == torch.float32
