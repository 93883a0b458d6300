"""The check of a sampler fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch

from skiplab.objectives.prediction import Estimate
from skiplab.samplers.ddim import DDIM
from skiplab.testing import check_sampler


class ForgetsSomeNoise(DDIM):
    def walk(self, x, path, schedule, denoise, generator):
        def fainter(x, now):
            x0, noise = denoise(x, now)
            return Estimate(x0=x0, noise=0.95 * noise)

        return super().walk(x, path, schedule, fainter, generator)


class AddsTooMuchNoise(DDIM):
    def walk(self, x, path, schedule, denoise, generator):
        return super().walk(1.3 * x, path, schedule, denoise, generator)


class Shifted(DDIM):
    def draw(self, *arguments):
        return super().draw(*arguments) + 0.01


class GlobalNoise(DDIM):
    def walk(self, x, path, schedule, denoise, generator):
        return super().walk(torch.randn_like(x), path, schedule, denoise, generator)


class Stateful(DDIM):
    num_draws = 0

    def walk(self, x, path, schedule, denoise, generator):
        self.num_draws += 1
        return super().walk(x * (1 + 1e-4 * self.num_draws), path, schedule, denoise, generator)


class AlwaysTheSame(DDIM):
    def draw(self, model, objective, shape, labels, generator):
        return super().draw(model, objective, shape, labels, torch.Generator().manual_seed(0))


class OneFewer(DDIM):
    def draw(self, *arguments):
        return super().draw(*arguments)[1:]


class Unwritable(DDIM):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.path = object()


BROKEN = {
    ForgetsSomeNoise: "draws from a Gaussian of spread 0.3 with spread",
    AddsTooMuchNoise: "draws from a Gaussian of spread 0.3 with spread",
    Shifted: "misses data that are one point by 0.01",
    GlobalNoise: "draws from the global generator",
    Stateful: "gives other samples from the same generator",
    AlwaysTheSame: "gives the same samples from other generators",
    OneFewer: r"gives samples of shape \(3, 3, 2, 2\), not \(4, 3, 2, 2\)",
    Unwritable: "settings can't be written to a record",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_sampler_fails_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_sampler(lambda: broken(num_steps=30, clip=None, guidance_scale=1.0))


def test_guidance_is_named_as_what_the_check_has_no_labels_for() -> None:
    with pytest.raises(AssertionError, match=r"guidance_scale=2.0 needs a network that is conditioned on labels"):
        check_sampler(lambda: DDIM(num_steps=30, clip=None, guidance_scale=2.0))


def test_what_is_no_sampler_is_named() -> None:
    with pytest.raises(AssertionError, match="object is no subclass of Sampler"):
        check_sampler(object)
