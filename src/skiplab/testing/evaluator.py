"""The contract of an evaluator."""

import json
import math
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import nn

from skiplab.evaluators.evaluator import Evaluator, Result
from skiplab.evaluators.results.missing import measured
from skiplab.testing.extreme_trials import extreme_trials
from skiplab.testing.rules import global_generator_untouched, named, require
from skiplab.testing.small_trial import small_trained


def check_evaluator(make: Callable[[], Evaluator[Any]]) -> None:
    """Check the contract of an evaluator, on a small network of the kind that it measures and 8x8 images.

    It returns a finite number for each declared metric and for no other, finite values for each chart, details that can
    be written to a record, and pictures; the same each time. Weights, buffers, gradients, hooks and mode of the network
    and the global generator stay as they are. On networks whose outputs overflow, are NaN or never change, it only
    raises UnmeasurableError: each metric is a finite number, or missing with a reason.

    Args:
        make: builds the evaluator, such as `lambda: FrechetDistance(num_samples=64)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    evaluator = make()
    require(isinstance(evaluator, Evaluator), f"{type(evaluator).__name__} is not a subclass of Evaluator")
    trained = small_trained(evaluator.measures)
    evaluator.check(trained.objective, trained.data, "under test")
    state = {name: value.clone() for name, value in trained.model.state_dict().items()}
    with global_generator_untouched("evaluate"):
        result = evaluator.evaluate(trained)
    _check_untouched(trained.model, state)
    require(isinstance(result, Result), f"evaluate returns {type(result).__name__}, not Result")
    declared, found = set(evaluator.metrics), set(result.summary)
    require(declared == found, f"metrics declares {sorted(declared)}, and the summary holds {sorted(found)}")
    for name, value in result.summary.items():
        finite = isinstance(value, int | float) and math.isfinite(value)
        require(finite, f"summary value {name}={value} is not a finite number")
    _check_charts(evaluator, result)
    try:
        json.dumps(result.details)
    except TypeError as error:
        raise AssertionError(f"details can't be written to a record: {error}") from error
    pictures = all(isinstance(picture, Image.Image) for picture in result.pictures.values())
    require(pictures, "pictures contains something other than PIL images")
    again = make().evaluate(small_trained(evaluator.measures))
    require(again.summary == result.summary, "the summary differs the second time")
    for where, extreme in extreme_trials(evaluator.measures):
        with named(where):
            found = measured(make(), extreme)
            lost = sorted(declared - found.summary.keys() - found.missing.keys())
            require(not lost, f"it returns neither a number for {', '.join(lost)} nor a reason")


def _check_charts(evaluator: Evaluator[Any], result: Result) -> None:
    require(bool(evaluator.charts or result.pictures), "it declares no chart and returns no picture")
    drawn = {name for name, chart in evaluator.charts.items() if chart.kind != "outcome"}
    given = {measurement.chart for measurement in result.measurements}
    require(drawn == given, f"charts declares {sorted(drawn)}, and the measurements are for {sorted(given)}")
    for name, chart in evaluator.charts.items():
        known = chart.kind != "outcome" or name in evaluator.metrics
        require(known, f"the chart {name} is of kind outcome, and no metric has this name")
    for measurement in result.measurements:
        numbers = (measurement.x, measurement.value, 0.0 if measurement.y is None else measurement.y)
        require(all(map(math.isfinite, numbers)), f"{measurement} has a value that is not a finite number")
        chart = evaluator.charts[measurement.chart]
        wanted = "y" if chart.has_two_axes else "no y"
        fits = chart.has_two_axes == (measurement.y is not None)
        require(
            fits, f"the chart {measurement.chart} of kind {chart.kind} needs measurements with {wanted}: {measurement}"
        )


def _check_untouched(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    changed = ", ".join(name for name, value in model.state_dict().items() if not torch.equal(value, state[name]))
    require(not changed, f"measuring changes {changed}")
    require(not any(module.training for module in model.modules()), "measuring leaves the network in training mode")
    no_gradients = all(parameter.grad is None for parameter in model.parameters())
    require(no_gradients, "measuring leaves gradients behind")
    hooks = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    require(not hooks, "measuring leaves hooks behind")
