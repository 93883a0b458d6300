import copy

import torch
from torch import Tensor, nn

from skiplab.blocks.init import Init, draws_as_torch, joins, zero_bias
from skiplab.blocks.orthogonal_weight import orthogonal_weight
from skiplab.blocks.self_attention import SelfAttention
from skiplab.blocks.shift import Shift
from skiplab.blocks.stream_activations import activations_cancel, layers_behind_activations
from skiplab.errors import SkiplabError


class LooksLinear(Init):
    """Pairs of mirrored channels, so that every activation cancels at init, act(z) - act(-z) = z (ReLU, SiLU, GELU).

    Channel 2k+1 of a stream is the negative of channel 2k. A layer that reads activations, W = [[V, -V], [-V, V]] with
    its rows and columns interleaved, gives +-V z; one that reads the pairs themselves has half of that. The stem has
    rows V and -V, the output layer columns V and -V. V is orthogonal, a convolution's delta-orthogonal; where each
    channel is convolved by itself, a pair has equal kernels. Biases are zero. So the network is linear in its input, up
    to what norms and connections do.

    Source: Balduzzi et al. 2017, The Shattered Gradients Problem, arXiv:1702.08591, section 4.
    Differs from the source: pairs are interleaved and stand in the weights, with usual activations in place of
        concatenated rectifiers; they run through streams and norms too; SiLU and GELU, which obey the same identity.

    Raises:
        SkiplabError: where an activation doesn't cancel, such as one after the join, or there is attention, or a layer
            has an odd number of channels.
    """

    def prepare(self, model: nn.Module) -> None:
        if any(isinstance(join.branch, SelfAttention) for join in joins(model)):
            raise SkiplabError(
                "init=looks_linear makes a network that is linear in its input, and attention (branch=transformer, "
                "backbone=ddpm_unet) isn't; take branch=preact or mlp and backbone=isotropic or unet, or "
                "init=orthogonal"
            )
        twin = copy.deepcopy(model).double().eval()
        self._reads_activations = layers_behind_activations(twin)
        for path, module in twin.named_modules():
            if next(module.parameters(recurse=False), None) is not None:
                self(module, path)
        if not activations_cancel(twin):
            raise SkiplabError(
                f"init=looks_linear lets every activation cancel, and with {_named(model)} they don't; valid: "
                "branch=preact, activation_only_preact, bottleneck, convnext or mlp; a connection that only sums; a "
                "norm of an even number of channels a group; activation=relu, silu or gelu; backbone=isotropic, unet, "
                "resnet or mlp; or take init=orthogonal"
            )

    @torch.no_grad()
    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialise the module's own parameters from the global generator."""
        module.reset_parameters()
        part = path.split(".")[0]
        if not draws_as_torch(module) or part == "embedding":
            return
        zero_bias(module)
        if module.weight.shape[0] == getattr(module, "groups", 1) > 1:
            module.weight.copy_(self._kernels(module, path))
        else:
            # The stem reads the data, a Shift the conditioning.
            reads_pairs = part != "stem" and not isinstance(module, Shift)
            module.weight.copy_(self._matrix(module, path, reads_pairs=reads_pairs, writes_pairs=part != "head"))

    def _kernels(self, module: nn.Conv2d, path: str) -> Tensor:
        """Of a convolution of channels by themselves."""
        drawn = module.weight[: _half(module.weight.shape[0], path)]
        kernels = [orthogonal_weight(kernel, module.stride, 1.0) for kernel in drawn.split(1)]
        return torch.cat(kernels).repeat_interleave(2, dim=0)

    def _matrix(self, module: nn.Module, path: str, *, reads_pairs: bool, writes_pairs: bool) -> Tensor:
        rows, columns = module.weight.shape[:2]
        rows = _half(rows, path) if writes_pairs else rows
        columns = _half(columns, path) if reads_pairs else columns
        weight = orthogonal_weight(module.weight[:rows, :columns], getattr(module, "stride", ()), 1.0)
        if reads_pairs:
            # Of pairs that no activation has halved, z - (-z) is 2 z.
            weight = weight if path in self._reads_activations else weight / 2
            weight = torch.stack([weight, -weight], dim=2).flatten(1, 2)
        if writes_pairs:
            weight = torch.stack([weight, -weight], dim=1).flatten(0, 1)
        return weight


def _half(channels: int, path: str) -> int:
    if channels % 2:
        raise SkiplabError(
            f"init=looks_linear pairs channels, and {path} has {channels}; valid: an even width and even channels "
            "throughout (branch.reduction), backbone=isotropic, unet, resnet or mlp"
        )
    return channels // 2


def _named(model: nn.Module) -> str:
    join, spec = joins(model)[0], model.spec
    norm, activation = spec.norm(spec.width), spec.activation()
    kinds = {"connection": join.connection, "norm": norm, "activation": activation}
    others = ", ".join(f"{axis} {type(part).__name__}" for axis, part in kinds.items())
    return f"branch={join.branch.option}, {others} and backbone={model.option}"
