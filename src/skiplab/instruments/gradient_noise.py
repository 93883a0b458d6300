from typing import ClassVar

import torch
from torch import Tensor

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog
from skiplab.instruments.real_parts import real_parts
from skiplab.layers import Network
from skiplab.metrics import Metric


class GradientNoise(Instrument):
    """Agreement of successive steps: the cosine of their gradients in each layer, and the gradient noise scale.

    With g and g' the gradients of a layer's weights at two successive steps, accumulated in float64,

        cosine = g . g' / (|g| |g'|).

    Two batches at (nearly) the same weights are independent draws of one gradient, so over all layers g . g' estimates
    its squared size and |g - g'|^2 / 2 its variance. Their means over the measured pairs give, in samples, the batch
    size beyond which averaging more samples hardly helps,

        noise scale = batch_size (mean of |g - g'|^2 / 2) / (mean of g . g').

    Source: McCandlish et al. 2018, An Empirical Model of Large-Batch Training, arXiv:1812.06162, eq. 2.9 (the simple
        noise scale) and appendix A.1 (from memory); Balduzzi et al. 2017, arXiv:1702.08591 (correlated gradients).
    Differs from the source: two successive batches of one size instead of a small and a large batch, so that one step
        of the weights lies between them.

    Args:
        every_n_steps: steps between two pairs, from 2; the first pair is steps 0 and 1.

    Raises:
        SkiplabError: if every_n_steps is below 2.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "gradient_agreement": Metric(
            label="cosine of successive gradients, mean over the blocks' layers", direction=None, role="mechanism"
        ),
        "gradient_noise_scale": Metric(
            label="gradient noise scale, samples", direction=None, scale="log", role="mechanism"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "gradient_cosine": Chart(
            title="Agreement of successive gradients by layer",
            caption="Cosine between the weight gradients of two successive steps, from input (0) to output (1); means "
            "over measured pairs and seeds. At 0, the gradients of successive batches are unrelated.",
            kind="lines",
            x="relative position of the layer",
            value="cosine of successive gradients",
        ),
        "gradient_noise_scale": Chart(
            title="Gradient noise scale",
            caption="Batch size beyond which averaging more samples hardly helps; each seed, and each arm's mean with "
            "its 95% interval.",
            kind="outcome",
        ),
    }

    def __init__(self, *, every_n_steps: int) -> None:
        super().__init__(every_n_steps=every_n_steps)
        if every_n_steps < 2:
            raise SkiplabError(
                f"instrument.gradient_noise.every_n_steps={every_n_steps} is invalid; valid: a whole number from 2, "
                "since it measures pairs of successive steps"
            )
        self._earlier: dict[str, Tensor] = {}

    def is_due(self, step: int) -> bool:
        return step % self.every_n_steps in (0, 1)

    def begin(self, network: Network, step: int) -> None:
        self._layers, self._is_first = network.layers, step % self.every_n_steps == 0

    def before_update(self, loss_scale: float) -> None:
        gradients = {layer.path: _flat(layer.module) for layer in self._layers}
        self._readings: list[Reading] = []
        if self._is_first:
            self._earlier = gradients
            return
        if not self._earlier:
            return  # the trial was resumed between the two
        pairs = [(gradients[layer.path], self._earlier[layer.path]) for layer in self._layers]
        products = [now @ before for now, before in pairs]
        sizes = [now.norm() * before.norm() for now, before in pairs]
        cosines = [product / size.clamp(min=1e-300) for product, size in zip(products, sizes, strict=True)]
        differences = [(now - before).square().sum() for now, before in pairs]
        self._readings = [
            Reading("gradient_cosine", self._layers, cosines),
            Reading("gradient_product", self._layers, products),
            Reading("gradient_difference", self._layers, differences),
        ]
        self._earlier = {}

    def after_update(self) -> list[Reading]:
        return self._readings

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        cosines = log.inside_blocks("gradient_cosine")
        if cosines.empty:
            return {}
        product, difference = log.of("gradient_product").sum(), log.of("gradient_difference").sum()
        summary = {"gradient_agreement": float(cosines.mean())}
        if product <= 0 or log.batch_size is None:
            return summary
        noise = difference / 2 / product
        return summary | {"gradient_noise_scale": float(log.batch_size * noise)}


def _flat(module: torch.nn.Module) -> Tensor:
    """The gradient of a layer's own parameters as one vector of real numbers, in float64; zeros if it has none."""
    parameters = module.parameters(recurse=False)
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    return torch.cat([real_parts(part.detach()).flatten() for part in parts]).double()
