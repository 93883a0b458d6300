from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog
from skiplab.instruments.output_gradients import OutputGradients
from skiplab.instruments.real_parts import real_parts
from skiplab.layers import Layer, Network, watch_tensors
from skiplab.metrics import Metric

if TYPE_CHECKING:
    import pandas as pd


class GradientFlow(Instrument):
    """Gradient norms, |dL/dW_l| of each layer's and each block's weights and |dL/dy_l| of each layer's output.

    L is the batch's mean loss. The weights of a layer or block are all its own parameters together. Norms are Euclidean
    and accumulate in float64; gradients are unscaled and not yet clipped. If a layer is called several times in a step,
    all its outputs count, each with its gradient summed over the backward passes that weights' gradients are summed
    over; a layer that isn't called has none. With g_b the blocks' norms, as geometric means over the measured steps,

        first to last = g_1 / g_B,   decay per block = exp(slope of ln g_b over b, least squares).

    Source: Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, section
        4.2, figures 7 and 9 (from memory).
    Differs from the source: norms over a batch's tensor, not histograms of entries.

    Args:
        every_n_steps: steps between two measurements, from 1.
        floor: weight gradient norm, from 0, at or below which a layer counts as having no gradient.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "gradient_first_to_last": Metric(
            label="weight gradient norm, first over last block", direction=None, scale="log", role="mechanism"
        ),
        "gradient_growth_per_block": Metric(
            label="factor by which the weight gradient norm grows from block to block",
            direction=None,
            scale="log",
            role="mechanism",
        ),
        "gradient_below_floor": Metric(
            label="fraction of layers whose gradient is below the floor",
            direction="lower",
            scale="bounded",
            role="mechanism",
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "weight_gradient_norm": Chart(
            title="Gradient norm by layer",
            caption="Norm of the loss's gradient with respect to a layer's weights, from input (0) to output (1); "
            "geometric means over measured steps and seeds.",
            kind="lines",
            x="relative position of the layer",
            value="weight gradient norm",
            log=("value",),
        ),
        "activation_gradient_norm": Chart(
            title="Gradient norm at each layer's output",
            caption="Norm of the loss's gradient with respect to a layer's output, from input (0) to output (1); "
            "geometric means over measured steps and seeds.",
            kind="lines",
            x="relative position of the layer",
            value="activation gradient norm",
            log=("value",),
        ),
        "block_gradient_norm": Chart(
            title="Gradient norm of the blocks over training",
            caption="Norm of the loss's gradient with respect to all weights of a block, at each measured step; input "
            "at the bottom, output at the top.",
            kind="heat",
            x="step",
            y="relative position of the block",
            value="gradient norm",
            log=("value",),
        ),
    }

    def __init__(self, *, every_n_steps: int, floor: float) -> None:
        super().__init__(every_n_steps=every_n_steps)
        if not floor >= 0:
            raise SkiplabError(f"instrument.gradient_flow.floor={floor} is invalid; valid: a number from 0")
        self.floor = floor

    def begin(self, network: Network, step: int) -> None:
        self._network = network
        self._outputs = OutputGradients(network.model.parameters())
        self.hooks = self._outputs.hooks
        self.hooks += [watch_tensors(layer.module, self._watch(layer)) for layer in network.layers]

    def _watch(self, layer: Layer):
        outputs = self._outputs
        return lambda module, inputs, output: outputs.observe(layer, inputs, output)

    def before_update(self, loss_scale: float) -> None:
        self.release()
        layers, blocks = self._network.layers, self._network.blocks
        parameters = [layer.module.parameters(recurse=False) for layer in layers]
        parameters += [block.parameters for block in blocks]
        weights = [[p.grad for p in place if p.grad is not None] for place in parameters]
        gradients = self._outputs.found
        self._called = [layer for layer in layers if layer in gradients]  # another's code may use its weights itself
        outputs = [gradients[layer] for layer in self._called]
        found = _norms([*weights, *outputs], next(self._network.model.parameters()).device)
        self._layer_norms = found[: len(layers)]
        self._block_norms = found[len(layers) : len(weights)]
        self._activation_norms = found[len(weights) :] / loss_scale
        del self._outputs

    def after_update(self) -> list[Reading]:
        return [
            Reading("weight_gradient_norm", self._network.layers, self._layer_norms.unbind()),
            Reading("activation_gradient_norm", self._called, self._activation_norms.unbind()),
            Reading("block_gradient_norm", self._network.blocks, self._block_norms.unbind()),
        ]

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        readings, layers = log.readings, log.of("weight_gradient_norm")
        summary = {} if layers.empty else {"gradient_below_floor": float((layers <= self.floor).mean())}
        blocks = readings[readings["quantity"] == "block_gradient_norm"]
        with np.errstate(divide="ignore"):
            means = cast("pd.Series", blocks.assign(value=np.log(blocks["value"])).groupby("index")["value"].mean())
        logs = means.to_numpy()
        if len(logs) < 2 or not np.isfinite(logs).all():
            return summary
        slope = np.polyfit(means.index.to_numpy(), logs, deg=1)[0]
        return summary | {
            "gradient_first_to_last": float(np.exp(logs[0] - logs[-1])),
            "gradient_growth_per_block": float(np.exp(slope)),
        }


def _norms(places: Sequence[Sequence[Tensor]], device: torch.device) -> Float[Tensor, " place"]:
    """The Euclidean norm of all tensors of each place together, in float64; 0 for a place without tensors."""
    tensors = list(dict.fromkeys(tensor for place in places for tensor in place))
    if not tensors:
        return torch.zeros(len(places), dtype=torch.float64, device=device)
    squares = torch.stack(torch._foreach_norm(list(map(real_parts, tensors)), 2, dtype=torch.float64)).square()
    number = {tensor: index for index, tensor in enumerate(tensors)}
    pairs = [(index, number[tensor]) for index, place in enumerate(places) for tensor in place]
    at, of = torch.tensor(pairs, device=device).T
    return torch.zeros(len(places), dtype=torch.float64, device=device).index_add_(0, at, squares[of]).sqrt()
