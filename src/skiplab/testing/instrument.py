"""The contract of an instrument."""

import math
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn

from skiplab.blocks.block import recompute_stages
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog
from skiplab.layers import inspect_network
from skiplab.objectives.denoising import Denoising
from skiplab.seeding import keyed_generator
from skiplab.testing.rules import global_generator_untouched, require
from skiplab.testing.small_trial import small_trained

_NUM_STEPS = 4


def check_instrument(make: Callable[[], Instrument]) -> None:
    """Check the contract of an instrument, in four steps of a small denoiser of 8x8 images.

    Weights after these steps are bit-equal with it and without it. Hooks, gradients and the global generator stay as
    they are. Its readings are float64 scalars, one for each layer, block or join, and the same with activation
    checkpointing. Its summary has finite values of declared metrics, and is empty without readings. Each of its charts
    draws a quantity that it reads, or one of its metrics.

    Args:
        make: builds the instrument, such as `lambda: UpdateRatio(every_n_steps=1)`; it must measure in one of the first
            four steps, or never.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    instrument = make()
    require(isinstance(instrument, Instrument), f"{type(instrument).__name__} is not a subclass of Instrument")
    unmeasured, _, losses = _train(None)
    without = unmeasured.state_dict()
    with global_generator_untouched("measuring"):
        measured, readings, _ = _train(instrument)
    changed = [name for name, value in measured.state_dict().items() if not torch.equal(value, without[name])]
    require(not changed, f"measuring changes {', '.join(changed)}")
    hooks = any(module._forward_hooks or module._forward_pre_hooks for module in measured.modules())
    require(not hooks, "measuring leaves hooks behind")
    rows = [row for step, found in enumerate(readings) for reading in found for row in _rows(step, reading)]
    _, others, _ = _train(make(), recomputes=True)
    again = [row for step, found in enumerate(others) for reading in found for row in _rows(step, reading)]
    require(again == rows, "its readings differ with activation checkpointing; register hooks with layers.watch")
    nothing = instrument.summarize(_log([], []))
    require(nothing == {}, f"the summary has {sorted(nothing)} without readings")
    summary = instrument.summarize(_log(rows, losses))
    undeclared = sorted(set(summary) - set(instrument.metrics))
    require(not undeclared, f"the summary has {', '.join(undeclared)}, which metrics doesn't declare")
    for name, value in summary.items():
        finite = isinstance(value, int | float) and math.isfinite(value)
        require(finite, f"summary value {name}={value} is not a finite number")
    drawn = {row[3].split(".")[0] for row in rows}
    for name, chart in instrument.charts.items():
        known = name in (instrument.metrics if chart.kind == "outcome" else drawn)
        drawn_kind = "metric" if chart.kind == "outcome" else "quantity among the readings"
        require(known, f"the chart {name} draws no {drawn_kind}")
    require(bool(instrument.charts), "it declares no chart")


def _train(
    instrument: Instrument | None, *, recomputes: bool = False
) -> tuple[nn.Module, list[list[Reading]], list[float]]:
    """Train some steps, and measure those that are due."""
    trained = small_trained(Denoising)
    model = trained.model.train()
    if recomputes:
        recompute_stages(model)
    network = inspect_network(model, *trained.objective.example(trained.data.train.shape))
    if instrument is not None:
        instrument.prepare(network, trained.objective, trained.data.train)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images, labels = trained.data.train.first(16)
    readings, losses = [], []
    for step in range(_NUM_STEPS):
        due = instrument if instrument is not None and instrument.is_due(step) else None
        if due is not None:
            due.begin(network, step)
        optimizer.zero_grad()
        loss = trained.objective.loss(model, images, labels, keyed_generator(0, "testing/instrument", step)).mean()
        loss.backward()
        if due is not None:
            due.before_update(loss_scale=1.0)
        optimizer.step()
        readings.append([] if due is None else due.after_update())
        losses.append(loss.item())
    return model, readings, losses


def _rows(step: int, reading: Reading) -> list[tuple[int, int, str, str, float]]:
    name = reading.quantity
    equal = len(reading.places) == len(reading.values)
    require(equal, f"{name} has {len(reading.values)} values for {len(reading.places)} layers, blocks or joins")
    for value in reading.values:
        scalar = isinstance(value, Tensor) and value.shape == () and value.dtype == torch.float64
        require(scalar, f"a value of {name} is not a float64 scalar")
        require(not value.requires_grad, f"a value of {name} still requires a gradient; detach it")
    pairs = zip(reading.places, reading.values, strict=True)
    return [(step, place.index, place.path, name, float(value)) for place, value in pairs]


def _log(rows: list[tuple[int, int, str, str, float]], losses: list[float]) -> TrainingLog:
    return TrainingLog(
        readings=pd.DataFrame(rows, columns=["step", "index", "path", "quantity", "value"]),
        losses=pd.Series(losses, dtype=float),
        diverged=False,
        num_skipped=0,
        zero_loss=1.0,
        max_steps=_NUM_STEPS,
        batch_size=16,
    )
