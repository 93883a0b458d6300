"""The cost of a network: parameters, floating-point operations and activation memory, for a fair comparison."""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skiplab.blocks.block import Join
from skiplab.layers import called_layers, evaluating
from skiplab.records.record_schema import Costs


def parity(model: nn.Module, example: tuple[Any, ...], depth: int) -> Costs:
    """The cost of a forward pass on one sample; `example` holds its arguments.

    num_parameters: number of trained scalars.  flops_per_sample: multiplications and additions of convolutions and
    matrix products.  activation_bytes_per_sample: bytes stored for the backward pass, without parameters.
    """
    own = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if tensor.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        saved.append(tensor)  # alive, so that no two activations share an address
        return tensor

    saved: list[torch.Tensor] = []
    with (
        called_layers(model) as layers,
        evaluating(model),
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        FlopCounterMode(display=False) as counter,
    ):
        model(*example)
    return {
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "flops_per_sample": counter.get_total_flops(),
        "activation_bytes_per_sample": sum(kept.values()),
        "depth": depth,
        "num_layers": len(layers),
        "num_joins": sum(isinstance(module, Join) for module in model.modules()),
    }
