"""A trace of one forward pass: from which values each value was computed, and in the code of which module."""

import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from skiplab.layers import in_mode
from skiplab.surgery import aten
from skiplab.surgery.channels import same_channel
from skiplab.surgery.kept_buffers import kept_buffers
from skiplab.surgery.merge import Call, Merge
from skiplab.surgery.regions import Region
from skiplab.surgery.stacking import stacked
from skiplab.surgery.torch_calls import (
    OPERATIONS,
    CallSite,
    Operation,
    as_sum,
    caller,
    calling_modules,
    in_own_function,
)
from skiplab.surgery.value import Value

_MERGES: Mapping[str, Operation] = {
    "add": "addition",
    "sub": "subtraction",
    "rsub": "subtraction",
    "lerp": "interpolation",
    "addcmul": "product sum",
    "addmm": "sum with a product",
    "addbmm": "sum with a product",
    "baddbmm": "sum with a product",
    "addmv": "sum with a product",
    "index_add": "indexed addition",
    "scatter_add": "indexed addition",
    "index_put": "indexed addition",
    "cat": "concatenation",
    "where": "mixture",
    "maximum": "mixture",
    "minimum": "mixture",
}
_WITH_PRODUCT = ("product sum", "sum with a product")


class Trace:
    """Everything that a forward pass computed.

    values: the values that carry an input or are learned, in the order of computation.
    merges: the values that combine several, in their order.
    calls: for each module and each of its calls, the operations that combine tensors, with their positions.
    input_sizes: number of elements of each input of the model.
    """

    def __init__(self, model: nn.Module, inputs: Sequence[Tensor]) -> None:
        self.values: list[Value] = []
        self.merges: list[Merge] = []
        self.calls: dict[nn.Module, list[list[tuple[Operation, CallSite]]]] = {}
        self.input_sizes = [each.numel() for each in inputs]
        self.call: Call | None = None
        self.modules: tuple[nn.Module, ...] | None = None
        self._count = 0
        self._now: dict[int, tuple[Any, Value]] = {}  # by the id of the tensor, while it lives
        self._written: dict[int, list[Value]] = {}  # by memory, what was written over parts of it
        for parameter in model.parameters():
            self._source(parameter, learned=True)
        for buffer in model.buffers():
            self._source(buffer, learned=aten.is_weight(buffer))
        for number, tensor in enumerate(inputs):
            self._source(tensor, depends=1 << number)

    def _source(self, tensor: Tensor, *, learned: bool = False, depends: int = 0) -> Value:
        carries = depends if tensor.is_floating_point() or tensor.is_complex() else 0
        region = Region.of(tensor)
        shape = tuple(tensor.shape)
        reads = (False, False, False, False)
        value = Value(
            self._count, "", (), (), carries, depends, learned, *reads, shape, region, tensor.device, None, ()
        )
        return self._keep(tensor, value)

    def _keep(self, tensor: Tensor, value: Value) -> Value:
        self._count += 1
        if value.carries or value.learned:
            self.values.append(value)
        key = id(tensor)
        self._now[key] = (weakref.ref(tensor, lambda _: self._now.pop(key, None)), value)
        return value

    def value(self, tensor: Tensor) -> Value:
        """The current value of a tensor; one that wasn't computed in the pass is a constant."""
        own = self._own(tensor)
        return self._with_written(tensor, own, since=own.index)

    def _own(self, tensor: Tensor) -> Value:
        """The value of a tensor when it was last seen."""
        known = self._now.get(id(tensor))
        return known[1] if known is not None else self._source(tensor, learned=isinstance(tensor, nn.Parameter))

    def _with_written(self, tensor: Tensor, own: Value, *, since: int) -> Value:
        """A tensor's value with what was written over parts of it later, through other views of its memory."""
        later = (each for each in self._written.get(own.region.memory, ()) if each.index > since)
        written = [each for each in later if each.region.overlaps(own.region)]
        return self._computed(tensor, "copy", (own, *written), ()) if written else own

    def record(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Keep what a call of an ATen function computed from what."""
        name, overwrites = aten.name_of(function), aten.in_place(function)
        tensors = list(_tensors((*args, *kwargs.values())))
        opaque = any(isinstance(each, torch.ScriptObject) for each in args)  # the weights of a quantized layer
        results = [tensors[0]] if overwrites and tensors else list(_tensors((result,)))
        if not results or not (tensors or opaque):
            return
        memories = {Region.of(each).memory for each in tensors}
        is_view = not overwrites and len(tensors) == 1 and Region.of(results[0]).memory in memories
        read = [self._own(each) if is_view else self.value(each) for each in tensors]
        if name == "copy" and overwrites:
            read, tensors = read[1:], tensors[1:]
        for tensor in results:
            if not overwrites and (memory := Region.of(tensor).memory) not in memories:
                self._written.pop(memory, None)  # a new memory, perhaps where one was that is gone
            made = self._computed(tensor, name, read, tensors, opaque=opaque)
            if is_view:  # of a part, over which less may have been written than over the whole
                made = self._with_written(tensor, made, since=read[0].index)
            if overwrites:
                before = self._written.get(made.region.memory, ())
                self._written[made.region.memory] = [e for e in before if not made.region.covers(e.region)] + [made]
            self._merge(name, function, args, read, made)

    def _computed(
        self, tensor: Tensor, name: str, read: Sequence[Value], tensors: Sequence[Tensor], *, opaque: bool = False
    ) -> Value:
        parents = tuple(dict.fromkeys(each for each in read if each.carries))
        learned = tuple(dict.fromkeys(each for each in read if each.learned))
        depends = carries = 0
        for each in read:
            depends |= each.depends
            carries |= each.carries
        if not (tensor.is_floating_point() or tensor.is_complex()) or name in aten.WITHOUT_GRADIENT:
            carries, parents, learned = 0, (), ()
        elif learned or opaque:
            for each in read:
                carries |= 0 if each.carries else each.depends  # a parameter embeds it
        constant = bool(read) and not (read[0].carries or read[0].learned)
        raises = aten.raises_resolution(name, tensors, tensor)
        result = Value(
            index=self._count,
            name=name,
            parents=parents,
            learned_parents=learned,
            carries=carries,
            depends=depends,
            learned=bool(learned) and not carries,
            reads_parameter=bool(learned) or opaque,
            reads_weight=opaque or (bool(learned) and aten.reads_weight(name, [each.shape for each in learned])),
            mixes=aten.mixes(name, len(parents), first_is_constant=constant),
            raises_resolution=raises and not (aten.puts(name) and read[0].carries),
            shape=tuple(tensor.shape),
            region=Region.of(tensor),
            device=tensor.device,
            channel=None,
            modules=self.modules if self.modules is not None else tuple(calling_modules(sys._getframe(3))),
        )
        if result.carries or result.learned:
            for each in result.sources:
                each.uses.append(result)
            if learned:
                weights = [each for each, value in zip(tensors, read, strict=False) if value.learned]
                result.channel = aten.channel_of_result(name, weights, tensor)
            if result.channel is None:
                result.channel = next(
                    filter(lambda dim: dim is not None, (same_channel(e, result) for e in parents)), None
                )
        return self._keep(tensor, result)

    def _merge(self, name: str, function: Any, args: Sequence[Any], read: Sequence[Value], result: Value) -> None:
        operation = _MERGES.get(name)
        if (stack := stacked(name, read, result)) is not None:
            operation, read = "stacked sum" if stack is read[0] else "mixture", stack.parents
        if operation is None or not (result.carries or result.learned) or len(read) < 2:
            return
        if name == "index_put" and not (len(args) > 3 and args[3]):  # without accumulating it overwrites
            return
        if operation in _WITH_PRODUCT:
            product = tuple(each for each in read[1:] if each.carries)
            if not read[0].carries or not product:
                return
            read = (read[0], product[-1])
        if operation in ("indexed addition", "mixture"):
            read = tuple(each for each in read if each.carries)
        if sum(bool(each.carries or each.learned) for each in read) < 2:
            return
        call = self.call if self.call is not None and self.call.operation == operation else None
        self.merges.append(Merge(operation, tuple(read), result, call))


class _Calls(TorchFunctionMode):
    """Notes which call in the code of which module is running."""

    def __init__(self, traced: Trace) -> None:
        super().__init__()
        self.traced = traced

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, traced = kwargs or {}, self.traced
        frame = caller()
        modules = tuple(calling_modules(frame))
        added = as_sum(func, args, kwargs)
        call = None
        operation = OPERATIONS.get(func)
        if added is not None or (operation not in (None, "addition") and any(True for _ in _tensors(args))):
            assert operation is not None
            earlier = traced.calls.setdefault(modules[0], [[]])[-1] if modules else []
            call = Call(operation, CallSite.of(frame), sum(other == operation for other, _ in earlier))
            earlier.append((operation, call.site))
            if in_own_function(frame):
                call = None
        traced.call, traced.modules = call, modules
        try:
            return func(*args, **kwargs)
        finally:
            traced.call, traced.modules = None, None


class _Values(TorchDispatchMode):
    """Records what ATen computes."""

    def __init__(self, traced: Trace) -> None:
        super().__init__()
        self.traced = traced

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.traced.record(func, args, kwargs or {}, result)
        return result


def trace(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], inputs: Sequence[Tensor], *, training: bool
) -> Trace:
    """Run a model once without gradients; generators, buffers and modes of modules stay as they are."""
    traced = Trace(model, inputs)

    def begin(module: nn.Module, _: Any) -> None:
        traced.calls.setdefault(module, []).append([])

    eager = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    handles = [module.register_forward_pre_hook(begin) for module in eager]
    mode = in_mode(model, training=training)
    try:
        with kept_buffers(model), mode, torch.no_grad(), torch.random.fork_rng(), _Calls(traced), _Values(traced):
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return traced


def _tensors(arguments: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among arguments of an ATen function, which are at most lists of tensors."""
    for each in arguments:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            for inner in each:
                if isinstance(inner, Tensor):
                    yield inner
