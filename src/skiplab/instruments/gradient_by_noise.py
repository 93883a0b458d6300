from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from skiplab.charts import Chart
from skiplab.instruments.instrument import Instrument, Reading
from skiplab.layers import Network, watch_tensors

_BANDS = ("low noise", "middle noise", "high noise")


class GradientByNoise(Instrument):
    """Gradient norms of each layer's weights and output, from the samples of one noise band at a time.

    Bands are thirds of the noise level t in [0, 1] that the network gets as input. With L = sum_i l_i / batch_size,

        |sum over samples i of the band of dl_i/dW| / batch_size,   likewise for the layer's output,

    so that the bands' gradients add up to dL/dW. Each layer's part is recomputed from its input and from the gradient
    at its output; norms accumulate in float64. A batch norm mixes samples; the gradient that reaches a sample counts
    for its band. Not measured are embeddings, layers that are called more than once or with another batch size, and
    networks without a noise level as input.

    Source: the gradient of each noise level as a task of its own: Hang et al. 2023, Min-SNR, arXiv:2303.09556, section
        3 (from memory).
    Differs from the source: norms by layer and band, not conflicts between levels.

    Args:
        every_n_steps: steps between two measurements, from 1.
    """

    needs_trial: ClassVar[bool] = True
    charts: ClassVar[dict[str, Chart]] = {
        "weight_gradient_norm_by_noise": Chart(
            title="Gradient norm by layer and noise band",
            caption="Norm of the weight gradient from the samples of one third of the noise levels, from input (0) to "
            "output (1); geometric means over measured steps and seeds.",
            kind="lines",
            x="relative position of the layer",
            value="weight gradient norm",
            log=("value",),
        ),
        "activation_gradient_norm_by_noise": Chart(
            title="Gradient norm at each layer's output, by noise band",
            caption="Norm of the gradient with respect to a layer's output, from the samples of one third of the "
            "noise levels; geometric means over measured steps and seeds.",
            kind="lines",
            x="relative position of the layer",
            value="activation gradient norm",
            log=("value",),
        ),
    }

    def begin(self, network: Network, step: int) -> None:
        self._network = network
        self._levels: list[Tensor] = []
        self._inputs: list[list[tuple[Tensor, ...]]] = [[] for _ in network.layers]
        self._gradients: list[list[Tensor]] = [[] for _ in network.layers]
        self.hooks = [network.model.register_forward_pre_hook(self._see_level)]
        for layer, inputs, gradients in zip(network.layers, self._inputs, self._gradients, strict=True):
            self.hooks.append(watch_tensors(layer.module, _watch(inputs, gradients)))

    def _see_level(self, model: nn.Module, arguments: tuple[Any, ...]) -> None:
        if len(arguments) > 1:
            self._levels.append(arguments[1].detach())

    def before_update(self, loss_scale: float) -> None:
        self.release()
        self._readings: list[Reading] = []
        if len(self._levels) != 1:
            return
        band = (self._levels[0] * len(_BANDS)).long().clamp(max=len(_BANDS) - 1)
        places = [
            (layer, inputs[0], gradients[0] / loss_scale)
            for layer, inputs, gradients in zip(self._network.layers, self._inputs, self._gradients, strict=True)
            if len(gradients) == 1 and len(gradients[0]) == len(band)
        ]
        self._inputs, self._gradients = [], []
        layers = [layer for layer, *_ in places]
        for index, name in enumerate(_BANDS):
            in_band = band == index
            weights = [_weight_norm(layer.module, inputs, out, in_band) for layer, inputs, out in places]
            outputs = [torch.linalg.vector_norm(out[in_band], dtype=torch.float64) for *_, out in places]
            self._readings.append(Reading(f"weight_gradient_norm_by_noise.{name}", layers, weights))
            self._readings.append(Reading(f"activation_gradient_norm_by_noise.{name}", layers, outputs))

    def after_update(self) -> list[Reading]:
        return self._readings


def _watch(inputs: list[tuple[Tensor, ...]], gradients: list[Tensor]):
    def after_forward(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        # an embedding reads label indices
        if output.requires_grad and all(argument.is_floating_point() for argument in arguments):
            inputs.append(tuple(argument.detach() for argument in arguments))
            output.register_hook(lambda gradient: gradients.append(gradient.detach()))

    return after_forward


def _weight_norm(module: nn.Module, inputs: tuple[Tensor, ...], gradient: Tensor, samples: Tensor) -> Tensor:
    """The gradient norm of a layer's own parameters from some samples; the layer's hooks are not called."""
    own = [parameter for parameter in module.parameters(recurse=False) if parameter.requires_grad]
    if not own or not samples.any():
        return torch.zeros((), dtype=torch.float64, device=gradient.device)
    with torch.enable_grad(), torch.autocast(gradient.device.type, enabled=False):
        output = module.forward(*(part[samples].to(own[0].dtype) for part in inputs))
    found = torch.autograd.grad(output, own, gradient[samples].to(output.dtype), allow_unused=True)
    norms = torch._foreach_norm([part for part in found if part is not None], 2, dtype=torch.float64)
    return torch.linalg.vector_norm(torch.stack(norms))
