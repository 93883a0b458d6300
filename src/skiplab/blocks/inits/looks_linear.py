import copy
from typing import cast

import torch
from torch import Tensor, nn

from skiplab.blocks.init import Init, branch_joins, reset_parameters, starts_as_in_torch, zero_bias
from skiplab.blocks.orthogonal_weight import orthogonal_weight
from skiplab.blocks.self_attention import SelfAttention
from skiplab.blocks.shift import Shift
from skiplab.blocks.specification import NetworkSpec
from skiplab.blocks.stream_activations import layer_without_cancellation, layers_after_activations
from skiplab.errors import SkiplabError


class LooksLinear(Init):
    """Pairs of mirrored channels, so that every activation cancels at init, act(z) - act(-z) = z (ReLU, SiLU, GELU).

    Channel 2k+1 of a stream is the negative of channel 2k. A layer after an activation has W = [[V, -V], [-V, V]],
    with rows and columns interleaved, and so computes +-V z. A layer without an activation before it has half of this
    W. The stem has rows V and -V, the output layer has columns V and -V. V is orthogonal, and delta-orthogonal for
    convolutions; a depthwise convolution has equal kernels in each pair. Biases are zero. So the network is linear in
    its input, except for norms and connections.

    Source: Balduzzi et al. 2017, The Shattered Gradients Problem, arXiv:1702.08591, section 4 (from memory).
    Differs from the source: the weights form the pairs, which are interleaved, so that usual activations replace
        concatenated rectifiers; streams and norms have the pairs too; SiLU and GELU, which obey the same identity.

    Raises:
        SkiplabError: if an activation doesn't cancel, such as one after the join; or if the network has attention, or
            a layer with an odd number of channels.
    """

    def prepare(self, model: nn.Module) -> None:
        if any(isinstance(join.branch, SelfAttention) for join in branch_joins(model)):
            raise SkiplabError(
                "init=looks_linear makes the network linear in its input, and attention (branch=transformer, "
                "backbone=ddpm_unet) is never linear; take branch=preact or mlp and backbone=isotropic or unet, or "
                "init=orthogonal"
            )
        twin = copy.deepcopy(model).double().eval()
        self._reads_activations = layers_after_activations(twin)
        for path, module in twin.named_modules():
            if next(module.parameters(recurse=False), None) is not None:
                self(module, path)
        if (path := layer_without_cancellation(twin)) is not None:
            raise SkiplabError(
                "init=looks_linear needs activations that cancel, act(z) - act(-z) = z, and those before the layer "
                f"{path} don't, with {_described(model)}; {_advice(model)}"
            )

    @torch.no_grad()
    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialize the module's own parameters from the global generator."""
        reset_parameters(module)
        part = path.split(".")[0]
        if not starts_as_in_torch(module) or part == "embedding":
            return
        zero_bias(module)
        if isinstance(module, nn.Conv2d) and module.weight.shape[0] == module.groups > 1:
            module.weight.copy_(self._kernels(module, path))
        else:
            # The stem reads the data and a Shift reads the conditioning: neither has pairs.
            reads_pairs = part != "stem" and not isinstance(module, Shift)
            module.weight.copy_(self._matrix(module, path, reads_pairs=reads_pairs, writes_pairs=part != "head"))

    def _kernels(self, module: nn.Conv2d, path: str) -> Tensor:
        """The kernels of a depthwise convolution, equal in each pair of channels."""
        drawn = module.weight[: _half(module.weight.shape[0], path)]
        kernels = [orthogonal_weight(kernel, module.stride, 1.0) for kernel in drawn.split(1)]
        return torch.cat(kernels).repeat_interleave(2, dim=0)

    def _matrix(self, module: nn.Linear | nn.Conv2d, path: str, *, reads_pairs: bool, writes_pairs: bool) -> Tensor:
        rows, columns = module.weight.shape[:2]
        rows = _half(rows, path) if writes_pairs else rows
        columns = _half(columns, path) if reads_pairs else columns
        weight = orthogonal_weight(module.weight[:rows, :columns], getattr(module, "stride", ()), 1.0)
        if reads_pairs:
            # Without an activation, the difference of a pair is z - (-z) = 2 z.
            weight = weight if path in self._reads_activations else weight / 2
            weight = torch.stack([weight, -weight], dim=2).flatten(1, 2)
        if writes_pairs:
            weight = torch.stack([weight, -weight], dim=1).flatten(0, 1)
        return weight


def _half(channels: int, path: str) -> int:
    if channels % 2:
        raise SkiplabError(
            f"init=looks_linear needs an even number of channels, and {path} has {channels}; take an even width, a "
            "branch.reduction that leaves even widths, and backbone=isotropic, unet, resnet or mlp"
        )
    return channels // 2


def _described(model: nn.Module) -> str:
    join, spec = branch_joins(model)[0], cast(NetworkSpec, model.spec)
    norm, activation = spec.norm(spec.width), spec.activation()
    kinds = {"connection": join.connection, "norm": norm, "activation": activation}
    others = ", ".join(f"{axis} {type(part).__name__}" for axis, part in kinds.items())
    return f"branch={join.branch.option}, {others} and backbone={model.option}"


_BRANCHES = ("preact", "activation_only_preact", "bottleneck", "convnext", "mlp", "layer")
_BACKBONES = ("isotropic", "unet", "resnet", "mlp")


@torch.no_grad()
def _advice(model: nn.Module) -> str:
    """What to change: only parts that don't fit, so that nothing in use is called valid."""
    spec, branch = cast(NetworkSpec, model.spec), branch_joins(model)[0].branch.option
    z = torch.linspace(-3, 3, spec.width // 2 * 4, dtype=torch.float64).view(1, -1, 4)  # of four positions
    pairs = torch.stack([z, -z], dim=2).flatten(1, 2)
    act, normed = spec.activation(), spec.norm(spec.width).double().eval()(pairs)
    advice = []
    if not torch.allclose(act(z) - act(-z), z):
        advice.append("activation=relu, silu or gelu")
    if not torch.allclose(normed[:, 1::2], -normed[:, 0::2]):
        advice.append("a norm with an even number of channels per group")
    if branch not in _BRANCHES:
        advice.append(f"branch={', '.join(_BRANCHES[:-1])} or {_BRANCHES[-1]}")
    if model.option not in _BACKBONES:
        advice.append(f"backbone={', '.join(_BACKBONES[:-1])} or {_BACKBONES[-1]}")
    if not advice:
        advice.append("a connection that only sums, such as connection=identity or plain")
    return f"take {', and '.join(advice)}; or take init=orthogonal"
