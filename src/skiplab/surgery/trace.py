"""A trace of one forward pass: from which tensors each tensor was computed, and in the code of which module."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from skiplab.layers import evaluating
from skiplab.surgery.torch_calls import OPERATIONS, CallSite, Operation, as_sum, caller, calling_modules


@dataclass(frozen=True)
class Value:
    """The value of a tensor at one point of the pass.

    index: its number in the order of computation.
    function: the torch function that computed it; None for inputs, parameters and constants.
    parents: the values that it was computed from.
    ancestors: one bit for each value that it depends on, itself included.
    modules: the modules whose calls were active when it was computed, from the innermost outwards.
    reads_parameter: whether one of its parents is a parameter or depends on parameters but on no input.
    from_main: whether it depends on the first of the model's inputs.
    from_input: whether it depends on any of the model's inputs.
    from_parameter: whether it depends on any parameter.
    """

    index: int
    tensor: Tensor
    function: Any
    parents: tuple["Value", ...]
    ancestors: int
    modules: tuple[nn.Module, ...]
    reads_parameter: bool
    from_main: bool
    from_input: bool
    from_parameter: bool

    def descends_from(self, other: "Value") -> bool:
        return bool(self.ancestors >> other.index & 1)


@dataclass(frozen=True)
class Merge:
    """A call that combines several tensors into one.

    operands: the values that it combines.
    result: the combined value.
    site: position of the call in the code.
    number: its number among the same operations in one call of its module, from 0.
    """

    operation: Operation
    operands: tuple[Value, ...]
    result: Value
    site: CallSite
    number: int


@dataclass
class Trace(TorchFunctionMode):
    """Everything that a forward pass computed.

    values: all values, in the order of computation.
    merges: all calls that combine tensors, in their order.
    calls: for each module and each of its calls, the operations that combine tensors, with their positions.
    """

    values: list[Value] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    calls: dict[nn.Module, list[list[tuple[Operation, CallSite]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._now: dict[int, Value] = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        frame = caller()
        added = as_sum(func, args, kwargs)
        read = [self.value(each) for each in _tensors((args, kwargs))]
        result = func(*args, **kwargs)
        written = _tensors(args[:1]) if result is None else _tensors(result)  # x[...] = y returns nothing
        if not written or not read:
            return result
        modules = tuple(calling_modules(frame))
        combined = [self._add(tensor, func, read, modules) for tensor in written][-1]
        if added is not None or (OPERATIONS.get(func, "addition") != "addition" and len(read) > 1):
            operation, site = OPERATIONS[func], CallSite.of(frame)
            earlier = self.calls.setdefault(modules[0], [[]])[-1] if modules else []
            number = sum(other == operation for other, _ in earlier)
            earlier.append((operation, site))
            self.merges.append(Merge(operation, tuple(read), combined, site, number))
        return result

    def value(self, tensor: Tensor, *, is_main: bool = False, is_input: bool = False) -> Value:
        """The current value of a tensor; a tensor that wasn't computed in the pass is a parameter or a constant."""
        if id(tensor) not in self._now:
            parameter = isinstance(tensor, nn.Parameter)
            own = 1 << len(self.values)
            self._keep(
                Value(len(self.values), tensor, None, (), own, (), False, is_main, is_main or is_input, parameter)
            )
        return self._now[id(tensor)]

    def _add(self, tensor: Tensor, function: Any, parents: Sequence[Value], modules: tuple[nn.Module, ...]) -> Value:
        ancestors = 1 << len(self.values)
        for parent in parents:
            ancestors |= parent.ancestors
        made = Value(
            index=len(self.values),
            tensor=tensor,
            function=function,
            parents=tuple(parents),
            ancestors=ancestors,
            modules=modules,
            reads_parameter=any(parent.from_parameter and not parent.from_input for parent in parents),
            from_main=any(parent.from_main for parent in parents),
            from_input=any(parent.from_input for parent in parents),
            from_parameter=any(parent.from_parameter for parent in parents),
        )
        self._keep(made)
        return made

    def _keep(self, value: Value) -> None:
        self.values.append(value)  # this keeps the tensor alive, so that no other tensor gets its id
        self._now[id(value.tensor)] = value

    def between(self, first: Value, last: Value) -> Iterator[Value]:
        """The values on the paths from one value to another, including the last but not the first."""
        for value in self.values[first.index + 1 : last.index + 1]:
            if last.descends_from(value) and value.descends_from(first):
                yield value


def trace(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Trace:
    """Run a model once in evaluation mode without gradients; generators and buffers stay as they are."""
    traced = Trace()
    for position, tensor in enumerate(_tensors((args, kwargs))):
        traced.value(tensor, is_main=position == 0, is_input=True)

    def begin(module: nn.Module, _: Any) -> None:
        traced.calls.setdefault(module, []).append([])

    handles = [module.register_forward_pre_hook(begin) for module in model.modules()]
    try:
        with evaluating(model), torch.no_grad(), torch.random.fork_rng(), traced:
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return traced


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
