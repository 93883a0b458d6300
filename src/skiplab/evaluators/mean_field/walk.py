"""One pass through a network that takes the moments of its tensors along, and keeps the streams themselves."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.backbones.resample import Upsample
from skiplab.blocks.block import BranchJoin
from skiplab.blocks.connection import Memory
from skiplab.blocks.long_skip import LongSkip
from skiplab.blocks.shift import Shift
from skiplab.blocks.shortcut import Shortcut
from skiplab.evaluators.mean_field import maps
from skiplab.evaluators.mean_field.norm_map import Norm, norm_map
from skiplab.evaluators.mean_field.signal import Part, Signal, of_tensor
from skiplab.layers import in_order


@dataclass
class Streams:
    """The stream before the first block and after each block.

    measured: the tensors.
    predicted: their moments, or None where the theory doesn't reach.
    not_predicted: why it doesn't; '' if all streams are predicted.
    not_differentiable: why gradients with respect to a stream have no meaning; '' if they have.
    """

    measured: list[Tensor] = field(default_factory=list)
    predicted: list[Signal | None] = field(default_factory=list)
    not_predicted: str = ""
    not_differentiable: str = ""


def walk(model: nn.Module, run: Callable[[], Any]) -> Streams:
    """The streams of one pass, `run`, through a network that is built from blocks, from its first tensor on.

    A tensor's moments are known if it is the network's input, or comes from known ones by a layer with a map, a sum of
    a connection or a long skip. Any other tensor, such as the output of attention, is unknown, and so is what comes of
    it.
    """
    walker = _Walker(model)
    with ExitStack() as watching:
        walker.watch(watching)
        run()
    return walker.streams


class _Walker:
    def __init__(self, model: nn.Module) -> None:
        self.model, self.streams = model, Streams()
        self._known: dict[int, tuple[Tensor, Signal]] = {}
        spec = getattr(model, "spec", None)
        self._activation = type(spec.activation()) if spec is not None else nn.Identity
        self._last_block = -1

    def watch(self, watching: ExitStack) -> None:
        """Follow the network until `watching` is left."""

        def enter(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            self._learn(arguments[0], of_tensor(arguments[0]))

        watching.callback(self.model.register_forward_pre_hook(enter).remove)
        inside: set[nn.Module] = set()
        for module in self.model.modules():
            if module not in inside and self._has_map(module):
                inside |= set(module.modules())
                self._watch_layer(module, watching)
            elif isinstance(module, BranchJoin):
                self._watch_join(module, watching)

    def _has_map(self, module: nn.Module) -> bool:
        kinds = nn.Linear | nn.Conv2d | Norm | Upsample | Shortcut | LongSkip
        return isinstance(module, kinds) or type(module) is self._activation

    def _watch_layer(self, module: nn.Module, watching: ExitStack) -> None:
        read: list[tuple[Any, ...]] = []

        def before(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            read.append(in_order(module, arguments, named))

        def after(_: nn.Module, __: Any, output: Tensor) -> None:
            found = self._through(module, read.pop())
            if found is not None:
                self._learn(output, found)

        # First of all hooks: others may replace the arguments by new tensors.
        watching.callback(module.register_forward_pre_hook(before, prepend=True, with_kwargs=True).remove)
        watching.callback(module.register_forward_hook(after).remove)

    def _through(self, module: nn.Module, arguments: tuple[Any, ...]) -> Signal | None:
        signal = self._signal(arguments[0])
        if signal is None:
            return None
        if isinstance(module, Shift):
            return maps.shift_map(signal, module.weight, module.bias, module.activation(arguments[1]))
        if isinstance(module, LongSkip):
            skip = self._signal(arguments[1])
            return None if skip is None else maps.mixed_map([signal, skip], module.forward)
        if isinstance(module, Shortcut):
            mixed = maps.mixed_map([signal], module.forward)
            return None if mixed is None else maps.subsampled_map(mixed, module.stride)
        if isinstance(module, Upsample):
            return maps.linear_map(maps.repeated_map(signal, 2), module.conv)
        if isinstance(module, Norm):
            return norm_map(signal, module)
        if isinstance(module, nn.Conv2d):
            return maps.linear_map(signal, module)
        if isinstance(module, nn.Linear):
            # A modulation that changes nothing at the start is found by its output instead.
            return maps.linear_map(signal, module) if len(arguments) == 1 else None
        return maps.activation_map(signal, module)

    def _watch_join(self, join: BranchJoin, watching: ExitStack) -> None:
        connection, write = join.connection, join.connection.write

        def watched(memory: Memory, update: Tensor, cond: Tensor | None, activation: nn.Module) -> Memory:
            joined = write(memory, update, cond, nn.Identity())
            found = self._joined(join, memory, update, cond)
            if found is not None:
                self._learn(joined, found)
            written = joined if isinstance(activation, nn.Identity) else activation(joined)
            closed = connection.close(written)
            if closed is not written:
                self.streams.not_differentiable = (
                    f"connection {type(connection).__name__} keeps more than one stream, so a gradient with respect to "
                    "one of them isn't the whole"
                )
            if join.block_index == self._last_block:  # the block's last join counts
                self.streams.measured.pop()
                self.streams.predicted.pop()
            self._last_block = join.block_index
            self._keep(closed)
            return written

        def before(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            if not self.streams.measured:
                self._keep(arguments[0])

        watching.callback(join.branch.register_forward_pre_hook(before).remove)
        connection.write = watched
        watching.callback(connection.__dict__.pop, "write")

    def _joined(self, join: BranchJoin, memory: Memory, update: Tensor, cond: Tensor | None) -> Signal | None:
        stream, changed = self._signal(memory), self._signal(update)
        if stream is not None and changed is not None:
            connection = join.connection

            def joined(x: Tensor, u: Tensor) -> Tensor:
                own = None if cond is None else cond[:1].expand(len(x), -1)
                return connection.join(x.to(memory), u.to(memory), own)

            found = maps.mixed_map([stream, changed], joined)
            if found is not None:
                return found
        self.streams.not_predicted = self.streams.not_predicted or self._reason(join, memory, stream, changed)
        return None

    def _reason(self, join: BranchJoin, memory: Memory, stream: Signal | None, changed: Signal | None) -> str:
        keeps_more = not isinstance(memory, Tensor) or memory.shape != self.streams.measured[-1].shape
        if keeps_more or (stream is not None and changed is not None):
            name = type(join.connection).__name__
            return (
                f"the theory follows sums of stream and update with constant factors, and connection {name} isn't one"
            )
        where = f"in branch {type(join.branch).__name__}" if stream is not None else "before its first block"
        return (
            "the theory follows norms, elementwise activations, convolutions and linear maps, and there are other "
            f"layers {where}"
        )

    def _keep(self, stream: Tensor) -> None:
        """A stream of a block; its moments are split off, so that they can be differentiated by."""
        signal = self._signal(stream)
        if signal is not None:
            parts = tuple(
                Part(each.width, _own(each.cov), each.mean, None if each.odd is None else _own(each.odd))
                for each in signal.parts
            )
            signal = Signal(signal.num_inputs, signal.sides, parts)
            self._learn(stream, signal)
        self.streams.measured.append(stream)
        self.streams.predicted.append(signal)

    def _learn(self, tensor: Tensor, signal: Signal) -> None:
        self._known[id(tensor)] = (tensor, signal)

    def _signal(self, tensor: Any) -> Signal | None:
        """The moments of a known tensor, or of one with the same values: a layer that changes nothing needs no map."""
        if not isinstance(tensor, Tensor):
            return None
        if id(tensor) in self._known:
            return self._known[id(tensor)][1]
        for known, signal in reversed(self._known.values()):
            if known.shape == tensor.shape and torch.equal(known, tensor):
                return signal
        return None


def _own(kernel: Tensor) -> Tensor:
    """A copy that gradients can be taken by; they pass on to where it comes from."""
    return kernel.clone() if kernel.requires_grad else kernel.clone().requires_grad_()
