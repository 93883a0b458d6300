"""The check of a prediction fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch

from skiplab.objectives.prediction import Prediction
from skiplab.objectives.predictions.epsilon import Epsilon
from skiplab.testing import check_prediction


class OtherTarget(Epsilon):
    def target(self, x0, noise, alpha, sigma):
        return 2 * noise


class TheInputItself(Prediction):
    """Its output says nothing that x_t doesn't."""

    def coefficients(self, alpha, sigma):
        return alpha, sigma


class Infinite(Epsilon):
    def coefficients(self, alpha, sigma):
        return alpha / 0, sigma


class NumbersForTensors(Epsilon):
    def coefficients(self, alpha, sigma):
        return torch.tensor(0.0), torch.tensor(1.0)


class NegativeScale(Epsilon):
    def input_scale(self, alpha, sigma):
        return alpha - sigma


class Random(Epsilon):
    def target(self, x0, noise, alpha, sigma):
        torch.rand(1)
        return super().target(x0, noise, alpha, sigma)


BROKEN = {
    OtherTarget: "solve doesn't recover x0 from its own target",
    TheInputItself: "solve doesn't recover x0",
    Infinite: "coefficient a isn't finite",
    NumbersForTensors: "coefficient a isn't finite or doesn't have the shape of alpha",
    NegativeScale: "input_scale isn't positive",
    Random: "draws from the global generator",
    object: "not a subclass of Prediction",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_prediction_fails_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_prediction(broken)
