"""What one update of a network consists of, seen from outside the loop that makes it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle


class Update:
    """Notes the weights before an update and the gradients that it used, whatever loop makes it.

    Gradients are noted at the end of each backward pass: summed over the passes of an accumulation, reduced over the
    processes of DistributedDataParallel, and not yet clipped. Those that a loop puts in their place, or that don't last
    until the end of the pass, are noted when their optimizer steps. Each optimizer's step settles the gradients of its
    own parameters, so several optimizers may take turns. Weights are noted before the first step of their optimizer.

    Args:
        parameters: those to note.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.loss_scale = 1.0
        self._watched = dict.fromkeys(parameters)
        self._before: dict[nn.Parameter, Tensor] = {}
        self._latest: dict[nn.Parameter, Tensor] = {}
        self._used: dict[nn.Parameter, Tensor] = {}
        self._noted: dict[nn.Parameter, Tensor] = {}  # the tensors in .grad when gradients were noted
        self._is_unscaled: set[nn.Parameter] = set()  # those whose noted gradient has no loss scale in it
        self._is_queued = False
        self._hooks: list[RemovableHandle] = [
            register_optimizer_step_pre_hook(self._begins),
            register_optimizer_step_post_hook(self._ends),
        ]
        trained = (parameter for parameter in self._watched if parameter.requires_grad)
        self._hooks += [each.register_post_accumulate_grad_hook(self._accumulated) for each in trained]

    @property
    def made(self) -> bool:
        """Whether an optimizer has updated any of the parameters."""
        return bool(self._before)

    def release(self) -> None:
        """Remove all hooks."""
        for hook in self._hooks:
            hook.remove()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """The parameters as they were before the update, with the gradients that it used; then again as they are.

        One that no optimizer has updated has no gradient, even if an older one was left in it.

        Tensors are exchanged, not written to, so that nothing is left of it.
        """
        now = {parameter: (parameter.data, parameter.grad) for parameter in self._watched}
        try:
            for parameter in now:
                parameter.data = self._before.get(parameter, parameter.data)
                parameter.grad = self._used.get(parameter)
            yield
        finally:
            for parameter, (data, gradient) in now.items():
                parameter.data, parameter.grad = data, gradient

    def _accumulated(self, parameter: Tensor) -> None:
        if not self._is_queued:
            self._is_queued = True
            # the engine calls back at the end of the pass, and once more behind DistributedDataParallel's own callback
            Variable._execution_engine.queue_callback(self._queue_again)

    def _queue_again(self) -> None:
        Variable._execution_engine.queue_callback(self._note)

    @torch.no_grad()
    def _note(self) -> None:
        self._is_queued = False
        self._noted = {each: each.grad for each in self._watched if each.grad is not None}
        self._latest = {each: _dense(gradient).clone() for each, gradient in self._noted.items()}
        self._is_unscaled.clear()

    @torch.no_grad()
    def _begins(self, optimizer: Optimizer, *_: object) -> None:
        is_unscaled = getattr(optimizer, "grad_scale", None) is None  # else the optimizer will divide by the scale
        for parameter in self._own(optimizer):
            if parameter not in self._before:
                self._before[parameter] = parameter.detach().clone()
            gradient = parameter.grad
            if gradient is not None and gradient is not self._noted.get(parameter):
                self._noted[parameter], self._latest[parameter] = gradient, _dense(gradient).clone()
                if is_unscaled:
                    self._is_unscaled.add(parameter)

    def _ends(self, optimizer: Optimizer, *_: object) -> None:
        if scaler := _scaler(sys._getframe()):
            self.loss_scale = scaler.get_scale()
        scale = 1.0 if scaler is None else self.loss_scale
        own = (parameter for parameter in self._own(optimizer) if parameter in self._latest)
        self._used |= {parameter: self._unscaled(parameter, scale) for parameter in own}

    def _unscaled(self, parameter: nn.Parameter, scale: float) -> Tensor:
        gradient = self._latest[parameter]
        return gradient if scale == 1 or parameter in self._is_unscaled else gradient / scale

    def _own(self, optimizer: Optimizer) -> Iterator[nn.Parameter]:
        """The optimizer's parameters that are watched."""
        return (each for group in optimizer.param_groups for each in group["params"] if each in self._watched)


def _dense(gradient: Tensor) -> Tensor:
    return gradient.detach().to_dense() if gradient.is_sparse else gradient.detach()


def _scaler(frame: FrameType | None) -> torch.amp.GradScaler | None:
    """The scaler that is making the step, found among the callers, so that no loop has to tell of it."""
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, torch.amp.GradScaler):
            return caller
        frame = frame.f_back
    return None
