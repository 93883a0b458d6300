"""The check of an evaluator fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.baselines import Baselines
from skiplab.evaluators.evaluator import Evaluator, Result
from skiplab.metrics import Metric
from skiplab.testing import check_evaluator


class Sound(Evaluator):
    metrics = {"weight": Metric(label="weight", direction="lower")}  # noqa: RUF012 - as short as a user's
    charts = {"weight": Chart(title="Weight", caption="The weight.", kind="outcome")}  # noqa: RUF012

    def evaluate(self, trained):
        first = next(trained.model.parameters())
        return Result({"weight": float(first.detach().abs().mean())})


class Undeclared(Sound):
    metrics = {}  # noqa: RUF012


class NotFinite(Sound):
    def evaluate(self, trained):
        return Result({"weight": float("nan")})


class Overwriting(Sound):
    def evaluate(self, trained):
        result = super().evaluate(trained)
        with torch.no_grad():
            next(trained.model.parameters()).add_(1)
        return result


class LeavesTrainingMode(Sound):
    def evaluate(self, trained):
        trained.model.train()
        return super().evaluate(trained)


class LeavesGradients(Sound):
    def evaluate(self, trained):
        next(trained.model.parameters()).sum().backward()
        return super().evaluate(trained)


class LeavesHooks(Sound):
    def evaluate(self, trained):
        trained.model.register_forward_hook(print)
        return super().evaluate(trained)


class Global(Sound):
    def evaluate(self, trained):
        torch.rand(1)
        return super().evaluate(trained)


class Counting(Sound):
    number = 0

    def evaluate(self, trained):
        Counting.number += 1
        return Result({"weight": float(self.number)})


class UnwritableDetails(Sound):
    def evaluate(self, trained):
        return Result(super().evaluate(trained).summary, details={"model": trained.model})


class NoChart(Sound):
    charts = {}  # noqa: RUF012


class NothingDrawn(Sound):
    charts = {"curve": Chart(title="Curve", caption="A curve.", kind="lines", x="x", value="y")}  # noqa: RUF012


class NotDrawable(NothingDrawn):
    def evaluate(self, trained):
        return Result(super().evaluate(trained).summary, measurements=[Measurement("curve", 0.0, float("inf"))])


class OneAxisTooMany(NothingDrawn):
    def evaluate(self, trained):
        return Result(super().evaluate(trained).summary, measurements=[Measurement("curve", 0.0, 1.0, y=2.0)])


class NoSuchMetric(Sound):
    charts = {"height": Sound.charts["weight"]}  # noqa: RUF012


class NoPicture(Sound):
    def evaluate(self, trained):
        return Result(super().evaluate(trained).summary, pictures={"weights": torch.zeros(2, 2)})


def explodes(trained) -> bool:
    return not all(parameter.isfinite().all() for parameter in trained.model.parameters())


class FailsOnNoNumbers(Sound):
    def evaluate(self, trained):
        if explodes(trained):
            raise ValueError("what is this?")
        return super().evaluate(trained)


class LosesTheNumber(Sound):
    def evaluate(self, trained):
        return Result({}) if explodes(trained) else super().evaluate(trained)


class NumberAlone(Sound):
    def evaluate(self, trained):
        return 3.0


BROKEN = {
    Undeclared: r"metrics declares \[\], and the summary holds \['weight'\]",
    NotFinite: "weight=nan is not a finite number",
    Overwriting: "measuring changes embedding",
    LeavesTrainingMode: "in training mode",
    LeavesGradients: "leaves gradients behind",
    LeavesHooks: "leaves hooks behind",
    Global: "evaluate draws from the global generator",
    Counting: "the summary differs the second time",
    UnwritableDetails: "details can't be written to a record",
    NoChart: "declares no chart and returns no picture",
    NothingDrawn: r"charts declares \['curve'\], and the measurements are for \[\]",
    NotDrawable: "value that is not a finite number",
    OneAxisTooMany: "needs measurements with no y",
    NoSuchMetric: "the chart height is of kind outcome, and no metric has this name",
    NoPicture: "something other than PIL images",
    FailsOnNoNumbers: r"ValueError: what is this\? \(Denoising, outputs that are NaN\)",
    LosesTheNumber: r"neither a number for weight nor a reason \(Denoising, outputs that are NaN\)",
    NumberAlone: "evaluate returns float, not Result",
    object: "object is not a subclass of Evaluator",
}


def test_sound_evaluators_pass() -> None:
    check_evaluator(Sound)
    check_evaluator(Baselines)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_evaluator_fails_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_evaluator(broken)


@pytest.mark.parametrize(("settings", "named"), [({"kind": "heatmap"}, "kind=heatmap"), ({"log": ("y",)}, "log=")])
def test_a_chart_that_no_page_can_draw_is_refused_where_it_is_declared(settings, named) -> None:
    with pytest.raises(SkiplabError, match=named):
        Chart(**{"title": "t", "caption": "c", "kind": "lines", **settings})
