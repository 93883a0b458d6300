"""The check of a noise schedule fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch

from skiplab.objectives.noise_schedules.cosine import Cosine
from skiplab.objectives.noise_schedules.straight import Straight
from skiplab.testing import check_noise_schedule


class FromNoiseToData(Straight):
    def alpha_sigma(self, time):
        return time, 1 - time


class NeverNoisy(Cosine):
    def alpha_sigma(self, time):
        return super().alpha_sigma(time / 3)


class Negative(Straight):
    def alpha_sigma(self, time):
        return 0.9 - time, time


class SinglePrecision(Cosine):
    def alpha_sigma(self, time):
        return super().alpha_sigma(time.float())


class GlobalDraws(Straight):
    def draw(self, count, generator):
        return torch.rand(count).clamp(self.time_min, self.time_max)


class AlwaysTheSame(Straight):
    def draw(self, count, generator):
        return torch.linspace(self.time_min, self.time_max, count)


class DrawsOutside(Straight):
    def draw(self, count, generator):
        return super().draw(count, generator) + 0.1


class DescendingLevels(Straight):
    def levels(self, count):
        return super().levels(count).flip(0)


class AscendingPath(Straight):
    def path(self, num_steps):
        return super().path(num_steps).flip(0)


class PathToZero(Straight):
    def path(self, num_steps):
        return torch.linspace(self.time_max, 0, num_steps, dtype=torch.float64)


class WrongRates(Straight):
    def rates(self, time):
        return torch.ones_like(time), torch.ones_like(time)


BROKEN = {
    FromNoiseToData: "sigma / alpha doesn't grow with time",
    NeverNoisy: "above 1 at time_max",
    Negative: "alpha isn't finite or is negative",
    SinglePrecision: "alpha is torch.float32 at times of torch.float64",
    GlobalDraws: "draw draws from the global generator",
    AlwaysTheSame: "the same times for different generator seeds",
    DrawsOutside: "outside of time_min to time_max",
    DescendingLevels: "levels doesn't ascend",
    AscendingPath: r"path\(2\) isn't 2 descending times",
    PathToZero: "path doesn't run from time_max to time_min",
    WrongRates: "rates aren't the derivatives",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_noise_schedule_fails_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_noise_schedule(lambda: broken(time_min=0.01, time_max=0.99))


def test_what_is_no_noise_schedule_is_named() -> None:
    with pytest.raises(AssertionError, match="object is not a subclass of NoiseSchedule"):
        check_noise_schedule(object)
