from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn

from skiplab.charts import Chart
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog, geometric_mean
from skiplab.instruments.real_parts import real_parts
from skiplab.layers import Network
from skiplab.metrics import Metric

if TYPE_CHECKING:
    import pandas as pd


class UpdateRatio(Instrument):
    """Size of the optimizer's step relative to the weights, |W_{t+1} - W_t| / |W_t|, for each layer and each block.

    Norms are Euclidean over all parameters of the layer or block, and accumulate in float64. The summary is the first
    block's ratio, as the geometric mean over the measured steps.

    It says how far weights move, not what that brings. It grows with the learning rate; under Adam it also depends on
    how long the moments remember earlier gradients compared with the training, and on epsilon once gradients are small,
    but hardly on the gradient's size. So a block that can't change the output may still have a ratio like the others'.
    For what a block's learning brings, use `skill_allocation`; docs/gradient_flow.md compares the two.

    Source: You et al. 2017, Large Batch Training of Convolutional Networks, arXiv:1708.03888, section 4 (the ratio of
        weight to update norms, from memory).
    Differs from the source: the step that the optimizer took, not the gradient.

    Args:
        every_n_steps: steps between two measurements, from 1.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "update_ratio_first_block": Metric(
            label="update ratio of the first block",
            direction="higher",
            scale="log",
            floor=1e-12,
            role="mechanism",
        )
    }
    charts: ClassVar[dict[str, Chart]] = {
        "block_update_ratio": Chart(
            title="Update ratio of the blocks over training",
            caption="Size of the optimizer's step relative to the weights, over all weights of a block, at each "
            "measured step; input at the bottom, output at the top.",
            kind="heat",
            x="step",
            y="relative position of the block",
            value="update ratio",
            log=("value",),
        ),
        "update_ratio_first_block": Chart(
            title="Update ratio of the first block",
            caption="Size of the optimizer's step relative to the weights, geometric mean over measured steps; each "
            "seed, and each arm's mean with its 95% interval. Higher means that the first block moves more, which need "
            "not bring anything.",
            kind="outcome",
        ),
    }

    def begin(self, network: Network, step: int) -> None:
        self._layers = network.layers
        self._blocks = [
            block for block in network.blocks if block.parameters
        ]  # external networks may have blocks without parameters

    def before_update(self, loss_scale: float) -> None:
        places = [list(layer.module.parameters(recurse=False)) for layer in self._layers]
        places += [list(block.parameters) for block in self._blocks]
        self._places = places
        self._parameters: list[nn.Parameter] = list(dict.fromkeys(p for place in places for p in place))
        self._before = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def after_update(self) -> list[Reading]:
        sizes = self._squares(self._before)
        steps = self._squares(torch._foreach_sub([p.detach() for p in self._parameters], self._before))
        ratios = [(_total(steps[p] for p in place) / _total(sizes[p] for p in place)).sqrt() for place in self._places]
        self._before = []
        num_layers = len(self._layers)
        return [
            Reading("update_ratio", self._layers, ratios[:num_layers]),
            Reading("block_update_ratio", self._blocks, ratios[num_layers:]),
        ]

    def _squares(self, tensors: Sequence[Tensor]) -> dict[nn.Parameter, Tensor]:
        norms = torch._foreach_norm(list(map(real_parts, tensors)), 2, dtype=torch.float64)
        return dict(zip(self._parameters, torch._foreach_pow(list(norms), 2), strict=True))

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        readings = log.readings
        is_first = (readings["quantity"] == "block_update_ratio") & (readings["index"] == 0)
        first = cast("pd.Series", readings.loc[is_first, "value"])
        if first.empty:
            return {}
        return {"update_ratio_first_block": geometric_mean(first)}


def _total(squares: Iterable[Tensor]) -> Tensor:
    return sum(squares, start=torch.zeros(()))
