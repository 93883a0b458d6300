"""A number that can't be given is missing with its reason; nothing stands in for it, and a mistake stays one."""

import math
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from hydra.utils import get_object
from made import gaussian, with_features
from torch import nn

from option_files import options
from settings_of_options import node_of
from skiplab.charts import Chart, Measurement
from skiplab.evaluators.calibration import Calibration
from skiplab.evaluators.classification import Classification
from skiplab.evaluators.eval_batches.skill import skill
from skiplab.evaluators.evaluator import Evaluator, Result
from skiplab.evaluators.frechet_distance import FrechetDistance
from skiplab.evaluators.gradient_correlation import correlation
from skiplab.evaluators.iterative_refinement import IterativeRefinement
from skiplab.evaluators.kernel_distance import KernelDistance
from skiplab.evaluators.lesion import Lesion
from skiplab.evaluators.per_class import PerClass
from skiplab.evaluators.results.missing import UnmeasurableError, measured
from skiplab.evaluators.stream_gain import StreamGain
from skiplab.metrics import Metric
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.denoising import Denoising
from skiplab.testing.small_trial import small_trained
from skiplab.training.factory import factory
from tiny_trials import compose_config


class Made(Evaluator):
    """Gives what it was made of, or fails with it."""

    metrics: ClassVar = {name: Metric(label=name, direction=None) for name in ("one", "two")}
    charts: ClassVar = {"curve": Chart(title="Curve", caption="A curve.", kind="lines", x="x", value="value")}

    def __init__(self, found) -> None:
        self.found = found

    def evaluate(self, trained) -> Result:
        return self.found() if callable(self.found) else self.found


def raising(error: Exception):
    def fail():
        raise error

    return fail


def test_numbers_that_are_not_finite_are_missing_and_the_others_stay() -> None:
    points = [Measurement("curve", x, value) for x, value in enumerate((1.0, math.nan, -math.inf))]
    found = measured(Made(Result({"one": 1.5, "two": -math.inf}, measurements=points, details={"n": 3})), None)
    assert found.summary == {"one": 1.5}
    assert found.missing == {"two": "its value is -inf", "curve": "2 of its values aren't finite numbers"}
    assert found.measurements == points[:1]
    assert found.details == {"n": 3}


def test_an_evaluator_says_itself_why_a_number_is_missing() -> None:
    found = measured(Made(Result({"one": 1.5}, missing={"two": "there are no twos"})), None)
    assert (found.summary, found.missing) == ({"one": 1.5}, {"two": "there are no twos"})


def test_what_cannot_be_measured_leaves_all_numbers_missing() -> None:
    found = measured(Made(raising(UnmeasurableError("nothing was drawn"))), None)
    assert (found.summary, found.measurements) == ({}, [])
    assert found.missing == dict.fromkeys(("one", "two", "curve"), "nothing was drawn")


def test_a_degenerate_matrix_leaves_numbers_missing() -> None:
    found = measured(Made(lambda: torch.linalg.inv(torch.zeros(2, 2))), None)
    assert found.missing.keys() == {"one", "two", "curve"}
    assert "singular" in found.missing["one"]


@pytest.mark.parametrize(
    "mistake",
    [ValueError("bad"), RuntimeError("shapes"), ZeroDivisionError("0"), AttributeError("x"), KeyError("y")],
    ids=lambda error: type(error).__name__,
)
def test_a_mistake_in_an_evaluator_stays_one(mistake: Exception) -> None:
    with pytest.raises(type(mistake)):
        measured(Made(raising(mistake)), None)
    with pytest.raises(RuntimeError, match="must be batches of square matrices"):
        measured(Made(lambda: torch.linalg.eigvalsh(torch.zeros(2, 3))), None)


# All evaluators that read the features of samples.
OF_SAMPLES = [
    option for option in options("evaluator") if get_object(node_of("evaluator", option)["_target_"]).needs_extractor
]


@pytest.mark.parametrize("option", OF_SAMPLES)
def test_samples_that_overflow_are_counted(option: str, trained) -> None:
    node = compose_config(f"evaluator=[{option}]", "num_samples=20").config.evaluator[option]
    if option == "kernel_distance":
        node.subset_size = 10
    samples = gaussian(20, 3, seed=1)
    samples[4, 1], samples[7, 0] = torch.inf, torch.nan
    found = measured(factory(node, Evaluator)(), with_features(trained, gaussian(30, 3, seed=2), samples))
    assert found.summary == {}
    assert set(found.missing.values()) == {"2 of 20 samples aren't finite numbers"}


def test_the_kernel_distance_of_large_samples_does_not_overflow(trained) -> None:
    """x.y / num_features + 1 of samples in one place s, far from all else, is s.s / num_features; its cube is all."""
    place = 1e20
    real, samples = torch.zeros(20, 4), torch.full((20, 4), place)
    large = with_features(trained, real, samples)
    found = measured(KernelDistance(num_samples=20, num_subsets=1, subset_size=20), large)
    assert found.summary["kernel_distance"] == pytest.approx(
        float(torch.tensor(place, dtype=torch.float32)) ** 6, rel=1e-12
    )
    assert measured(FrechetDistance(num_samples=20), large).summary["frechet_distance"] == pytest.approx(
        4 * place**2, rel=1e-6
    )


def test_skill_is_what_is_gained_over_the_zero_predictor() -> None:
    assert [skill(loss, 2.0) for loss in (0.0, 0.5, 2.0, 3.0)] == [1.0, 0.75, 0.0, 0.0]
    assert [skill(loss, 2.0) for loss in (math.inf, math.nan)] == [0.0, 0.0]
    assert math.isnan(skill(0.5, 0.0))


def answering(trained, value: float):
    """The network, but for what it says of each image."""

    class Answer(nn.Module):
        def forward(self, x, *told):
            shape = (len(x), trained.objective.num_logits) if trained.objective.num_logits else x.shape
            return torch.full(shape, value)

    return replace(trained, model=Answer().eval())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_classifier_whose_outputs_are_no_numbers_names_no_class(value: float) -> None:
    trained = answering(small_trained(CrossEntropy), value)
    found = measured(Classification(batch_size=50, num_train=None, num_val=None), trained)
    assert found.summary == {"skill_train": 0.0, "skill_val": 0.0}
    assert found.missing["accuracy_val"] == "64 of 64 outputs at images of val aren't finite numbers"
    assert found.missing.keys() == {"loss_train", "accuracy_train", "loss_val", "accuracy_val"}
    for evaluator in (Calibration(num_bins=5, batch_size=50, num_val=None), PerClass(batch_size=50, num_val=None)):
        assert measured(evaluator, trained).summary == {}


def test_one_split_that_overflows_leaves_the_other() -> None:
    trained = small_trained(CrossEntropy)
    trained.data.val.stored[:3] = torch.inf
    found = measured(Classification(batch_size=50, num_train=None, num_val=None), trained)
    assert found.summary.keys() == {"loss_train", "accuracy_train", "skill_train", "skill_val"}
    assert found.missing["loss_val"] == "3 of 64 outputs at images of val aren't finite numbers"


@pytest.mark.parametrize(
    "evaluator",
    [StreamGain(num_images=4, num_levels=2), IterativeRefinement(num_images=4, num_levels=2, ridge=1e-3, margin=0.0)],
    ids=lambda each: type(each).__name__,
)
def test_streams_that_overflow_have_no_size(evaluator: Evaluator) -> None:
    trained = small_trained(Denoising)
    with torch.no_grad():
        trained.model.stem.bias.fill_(torch.nan)
    found = measured(evaluator, trained)
    assert found.summary == {}
    assert "streams aren't finite numbers" in next(iter(found.missing.values()))


def test_a_ratio_to_a_loss_that_is_no_number_is_none() -> None:
    trained = small_trained(Denoising)
    with torch.no_grad():
        list(trained.model.parameters())[-1].fill_(torch.nan)
    found = measured(Lesion(num_images=4, num_levels=2), trained)
    assert found.summary == {}
    assert found.missing["lesion_ratio"] == "the trained network's loss is nan"


def test_gradients_that_are_no_numbers_are_not_uncorrelated() -> None:
    assert correlation(torch.zeros(2, 3, 4)) == 0.0
    assert math.isnan(correlation(torch.full((2, 3, 4), math.nan)))
