"""The check of an instrument fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch

from skiplab.charts import Chart
from skiplab.instruments.instrument import Instrument, Reading
from skiplab.metrics import Metric
from skiplab.testing import check_instrument


class Sound(Instrument):
    metrics = {"size_mean": Metric(label="mean size", direction=None)}  # noqa: RUF012 - as short as a user's
    charts = {"size": Chart(title="Size", caption="Size.", kind="lines", x="layer", value="size")}  # noqa: RUF012

    def begin(self, network, step):
        self.layers = network.layers

    def after_update(self):
        values = [next(layer.module.parameters()).detach().double().norm() for layer in self.layers]
        return [Reading("size", self.layers, values)]

    def summarize(self, log):
        return {} if log.readings.empty else {"size_mean": float(log.readings["value"].mean())}


class Undeclared(Sound):
    metrics = {}  # noqa: RUF012


class NotFinite(Sound):
    def summarize(self, log):
        return {name: float("inf") for name in super().summarize(log)}


class FromNothing(Sound):
    def summarize(self, log):
        return {"size_mean": 0.0}


class Overwriting(Sound):
    def before_update(self, loss_scale):
        for layer in self.layers:
            next(layer.module.parameters()).grad.mul_(0.5)


class LeavesHooks(Sound):
    def begin(self, network, step):
        super().begin(network, step)
        network.model.register_forward_hook(lambda *_: None)


class Global(Sound):
    def after_update(self):
        torch.rand(1)
        return super().after_update()


class SinglePrecision(Sound):
    def after_update(self):
        return [Reading(r.quantity, r.places, [value.float() for value in r.values]) for r in super().after_update()]


class OnTheGraph(Sound):
    def after_update(self):
        return [Reading("size", self.layers, [next(la.module.parameters()).double().norm() for la in self.layers])]


class TooFewValues(Sound):
    def after_update(self):
        return [Reading(r.quantity, r.places, r.values[1:]) for r in super().after_update()]


class CountsRecomputation(Sound):
    def begin(self, network, step):
        super().begin(network, step)
        self.counts = [0] * len(self.layers)
        self.handles = [
            layer.module.register_forward_hook(lambda *_, index=index: self.count(index))
            for index, layer in enumerate(self.layers)
        ]

    def count(self, index):
        self.counts[index] += 1

    def before_update(self, loss_scale):
        for handle in self.handles:
            handle.remove()

    def after_update(self):
        return [Reading("size", self.layers, [torch.tensor(float(n), dtype=torch.float64) for n in self.counts])]


class NoSuchQuantity(Sound):
    charts = {"weight": Sound.charts["size"]}  # noqa: RUF012


class NoChart(Sound):
    charts = {}  # noqa: RUF012


def test_a_sound_instrument_passes() -> None:
    check_instrument(lambda: Sound(every_n_steps=3))


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (Undeclared, "holds size_mean, which metrics doesn't declare"),
        (NotFinite, "size_mean=inf is no finite number"),
        (FromNothing, "holds \\['size_mean'\\] where nothing was written down"),
        (Overwriting, "measuring changes"),
        (LeavesHooks, "leaves hooks behind"),
        (Global, "draws from the global generator"),
        (SinglePrecision, "no scalar tensor in float64"),
        (OnTheGraph, "still hangs on the graph"),
        (TooFewValues, "values for"),
        (NoSuchQuantity, "the chart weight draws no quantity"),
        (NoChart, "declares no chart"),
        (CountsRecomputation, "something else where activations are recomputed"),
    ],
)
def test_a_broken_instrument_is_told_what_is_wrong(broken: type, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_instrument(lambda: broken(every_n_steps=1))
