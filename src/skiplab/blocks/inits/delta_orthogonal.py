import copy
import math

import torch
from torch import nn

from skiplab.blocks.init import Init, reset_parameters, starts_as_in_torch, zero_bias
from skiplab.blocks.kernel_maps import critical_point
from skiplab.blocks.orthogonal_weight import orthogonal_weight
from skiplab.blocks.shift import Shift
from skiplab.blocks.stream_activations import layers_after_activations
from skiplab.blocks.tailored_activation import example_activation


class DeltaOrthogonal(Init):
    """Delta-orthogonal weights at criticality: a plain network without norms keeps variances, cosines and gradients.

    A layer after an activation f has orthogonal weights times sigma_w, and biases N(0, sigma_b^2). At the critical
    point, sigma_w^2 E[f'(x)^2] = 1 (chi_1 = 1) and sigma_w^2 E[f(x)^2] + sigma_b^2 = q with x ~ N(0, q), for the q at
    which the variance is neither attracted nor repelled to first order, E[f(x) f''(x)] = 0. ReLU has sigma_w^2 = 2,
    sigma_b = 0 and any q, of which 1 is taken; SiLU has 1.99, 0.55 and q = 14.3. The stem is scaled by sqrt(q), the
    output layer by 1 / sqrt(q). Other layers without an activation before them have sigma_w = 1 and sigma_b = 0. A
    layer to more channels is scaled by sqrt(out / in), so that the variance per channel stays. The terms of the
    conditioning start at zero. Residual networks aren't critical, because their shortcut adds to the variance.

    Source: Xiao et al. 2018, Dynamical Isometry and a Mean Field Theory of CNNs, arXiv:1806.05393, algorithm 1 and
        sections 2 and 3; the scale of layers to more channels: Martens et al. 2021, Deep Kernel Shaping,
        arXiv:2110.01765.
    Differs from the source: of the critical points (sigma_w, sigma_b), the one above (Roberts et al. 2021,
        arXiv:2106.10165, section 5.3; from memory); layers to fewer channels, as projections; a patch is mapped as
        one vector; stem, output layer and conditioning.
    """

    def prepare(self, model: nn.Module) -> None:
        self._point = critical_point(example_activation(model))
        self._reads_activations = layers_after_activations(copy.deepcopy(model).eval())

    @torch.no_grad()
    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialize the module's own parameters from the global generator."""
        reset_parameters(module)
        if not starts_as_in_torch(module):
            return
        zero_bias(module)
        if isinstance(module, Shift):
            nn.init.zeros_(module.weight)
            return
        stride, groups = getattr(module, "stride", ()), getattr(module, "groups", 1)
        blocks = [orthogonal_weight(block, stride, 1.0) for block in module.weight.chunk(groups)]
        rows, columns = blocks[0].flatten(1).shape if _is_patch(module) else blocks[0].shape[:2]
        scale = math.sqrt(max(rows / columns, 1))
        part = path.split(".")[0]
        if part in ("stem", "head"):
            scale *= math.sqrt(self._point.stream) if part == "stem" else 1 / math.sqrt(self._point.stream)
        if path in self._reads_activations:
            scale *= math.sqrt(self._point.weight)
            if module.bias is not None and part != "head":
                nn.init.normal_(module.bias, std=math.sqrt(self._point.bias))
        module.weight.copy_(torch.cat(blocks) * scale)


def _is_patch(module: nn.Linear | nn.Conv2d) -> bool:
    """Whether it is a convolution whose kernels don't overlap, which reads each patch as one vector."""
    return isinstance(module, nn.Conv2d) and module.kernel_size == module.stride
