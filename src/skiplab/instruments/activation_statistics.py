from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog, geometric_mean
from skiplab.layers import Network, watch_tensors
from skiplab.metrics import Metric


class ActivationStatistics(Instrument):
    """Statistics of activations: mean, RMS and effective rank of each layer's output, dead channels of its input.

    Over samples and positions of the measured batch, with C the covariance of the output's channels and p its
    eigenvalues over their sum,

        RMS = sqrt(mean of y^2),   effective rank = exp(-sum p ln p), from 1 to the number of channels.

    An input channel is dead if its standard deviation is at most `dead_below` times the RMS of the whole input, as
    behind a ReLU that is never active or a unit with constant output. Everything accumulates in float64.

    Source: activations by layer: Glorot and Bengio 2010, section 3 (from memory); effective rank: Roy and Vetterli
        2007, The effective rank, definition 1 (from memory); dead units: Lu et al. 2019, Dying ReLU, arXiv:1903.06733.
    Differs from the source: the effective rank of the covariance, whose eigenvalues are the squares of the singular
        values of the centered activations; dead for a batch, not for all data.

    Args:
        every_n_steps: steps between two measurements, from 1.
        dead_below: standard deviation over RMS at or below which a channel is dead, from 0 to 1.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "effective_rank_blocks": Metric(
            label="effective rank of outputs, geometric mean over the blocks' layers",
            direction="higher",
            scale="log",
            role="mechanism",
        ),
        "dead_fraction": Metric(
            label="fraction of dead channels, mean over the blocks' layers",
            direction="lower",
            scale="bounded",
            role="mechanism",
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "activation_rms": Chart(
            title="Size of each layer's output",
            caption="Root mean square of a layer's output, from input (0) to output (1); geometric means over "
            "measured steps and seeds.",
            kind="lines",
            x="relative position of the layer",
            value="RMS of the output",
            log=("value",),
        ),
        "activation_mean": Chart(
            title="Mean of each layer's output",
            caption="Mean of a layer's output over samples, positions and channels; means over measured steps and "
            "seeds.",
            kind="lines",
            x="relative position of the layer",
            value="mean of the output",
        ),
        "effective_rank": Chart(
            title="Effective rank of each layer's output over training",
            caption="Number of directions that a layer's output varies in, among its channels, at each measured step; "
            "input at the bottom, output at the top.",
            kind="heat",
            x="step",
            y="relative position of the layer",
            value="effective rank",
        ),
        "dead_fraction": Chart(
            title="Dead channels by layer",
            caption="Fraction of a layer's input channels that don't vary, from input (0) to output (1); means over "
            "measured steps and seeds.",
            kind="lines",
            x="relative position of the layer",
            value="fraction of dead channels",
        ),
    }

    def __init__(self, *, every_n_steps: int, dead_below: float) -> None:
        super().__init__(every_n_steps=every_n_steps)
        if not 0 <= dead_below <= 1:
            raise SkiplabError(
                f"instrument.activation_statistics.dead_below={dead_below} is invalid; valid: a number from 0 to 1"
            )
        self.dead_below = dead_below

    def begin(self, network: Network, step: int) -> None:
        self._layers = network.layers
        self._found: dict[str, list[Tensor]] = {}
        self.hooks = [watch_tensors(layer.module, self._watch(layer.path)) for layer in network.layers]

    def _watch(self, path: str):
        def after_forward(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            if not (arguments[0].is_floating_point() and output.is_floating_point()):
                return  # an embedding reads label indices
            read, written = _channels(arguments[0].detach(), module), _channels(output.detach(), module)
            covariance = torch.cov(written, correction=0).reshape(len(written), -1)
            size = read.square().mean().sqrt()
            dead = (read.std(dim=1, correction=0) <= self.dead_below * size).double().mean()
            rank = _effective_rank(covariance)
            self._found[path] = [written.mean(), written.square().mean().sqrt(), rank, dead]

        return after_forward

    def before_update(self, loss_scale: float) -> None:
        self.release()

    def after_update(self) -> list[Reading]:
        layers = [layer for layer in self._layers if layer.path in self._found]
        if not layers:
            return []
        values = zip(*(self._found[layer.path] for layer in layers), strict=True)
        names = ("activation_mean", "activation_rms", "effective_rank", "dead_fraction")
        return [Reading(name, layers, found) for name, found in zip(names, values, strict=True)]

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        ranks, dead = log.inside_blocks("effective_rank"), log.inside_blocks("dead_fraction")
        if ranks.empty:
            return {}
        return {"effective_rank_blocks": geometric_mean(ranks), "dead_fraction": float(dead.mean())}


def _channels(tensor: Tensor, module: nn.Module) -> Tensor:
    """One row per channel, in float64.

    Channels are second in convolutions, in modules of skiplab's and in images, else last, as in linear layers,
    recurrent ones, attention and other modules of tokens.
    """
    is_known = isinstance(module, _ConvNd) or type(module).__module__.startswith("skiplab.")
    is_second = is_known or (tensor.ndim > 3 and not isinstance(module, nn.Linear))
    channels = 1 if is_second else tensor.ndim - 1
    return tensor.movedim(channels, 0).flatten(1).double()


def _effective_rank(covariance: Tensor) -> Tensor:
    """exp of the entropy of the normalized eigenvalues; 0 if nothing varies, nan if the network has exploded."""
    finite = covariance.isfinite().all()  # torch refuses other matrices, and a diverging trial would crash
    values = torch.linalg.eigvalsh(torch.where(finite, covariance, 0.0)).clamp(min=0)
    weights = values / values.sum().clamp(min=1e-300)
    rank = torch.exp(torch.special.entr(weights).sum()) * (values.sum() > 0)
    return torch.where(finite, rank, torch.nan)
