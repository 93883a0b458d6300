"""The gradients of layers' outputs, of the passes that give weights their gradients."""

import functools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.utils.hooks import RemovableHandle

from skiplab.layers import Layer


class OutputGradients:
    """Sums each output's gradients over the backward passes that weights' `grad` is summed over.

    A pass that adds to no weight's `grad`, such as that of torch.autograd.grad for a penalty, doesn't count, nor does
    one before all weights' `grad` was set to None.

    Args:
        weights: those of the network.

    found: the gradients of each layer's outputs so far; a layer that was called and got none has an empty list.
    hooks: to be removed behind the last pass.
    """

    def __init__(self, weights: Iterable[nn.Parameter]) -> None:
        self._trained = [weight for weight in weights if weight.requires_grad]
        self._outputs: dict[Layer, list[list[Tensor]]] = {}  # a list of one gradient for each output, or of none
        self._pending: dict[int, list[tuple[list[Tensor], Tensor]]] = {}  # by the pass
        self._counted: set[int] = set()  # passes
        self.hooks: list[RemovableHandle] = [
            weight.register_post_accumulate_grad_hook(self._accumulated) for weight in self._trained
        ]

    @property
    def found(self) -> dict[Layer, list[Tensor]]:
        return {layer: [each for output in outputs for each in output] for layer, outputs in self._outputs.items()}

    def observe(self, layer: Layer, inputs: Sequence[Tensor], output: Tensor) -> None:
        """Note the gradients of a layer's output."""
        summed: list[Tensor] = []
        self._outputs.setdefault(layer, []).append(summed)
        if output.requires_grad:
            own = _written_over_safely(output, inputs)
            self.hooks.append(own.register_hook(functools.partial(self._arrived, summed)))

    def _arrived(self, summed: list[Tensor], gradient: Tensor) -> None:
        now = torch._C._current_graph_task_id()
        if now not in self._pending:
            self._pending[now] = []
            if all(weight.grad is None for weight in self._trained):
                for each in (output for outputs in self._outputs.values() for output in outputs):
                    each.clear()
            Variable._execution_engine.queue_callback(functools.partial(self._ended, now))
        self._pending[now].append((summed, gradient.detach()))

    def _accumulated(self, _: Tensor) -> None:
        self._counted.update((torch._C._current_graph_task_id(), *self._pending))  # one pass may run inside another

    def _ended(self, now: int) -> None:
        for summed, gradient in self._pending.pop(now):
            if now in self._counted:
                summed[:] = [summed[0] + gradient] if summed else [gradient]


def _written_over_safely(output: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """The output, or what it is a view of as a whole: hooks of a view are lost if the network writes over it later."""
    base = output._base
    if base is None or base.is_leaf or not base.requires_grad or base.numel() != output.numel():
        return output
    return output if any(base is each or base is each._base for each in inputs) else base
