"""One forward pass, seen: from which tensors each tensor was made, in the code of which module."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from skiplab.layers import evaluating
from skiplab.surgery.torch_calls import FORMS, Form, Site, as_sum, caller, calling_modules


@dataclass(frozen=True)
class Value:
    """A tensor at one moment of the pass.

    index: its number in the order of computation.
    parents: the values that it was made from.
    ancestors: a bit for each value that it depends on, itself included.
    modules: those being called where it was made, the innermost first.
    reads_parameter: whether a parameter, or what is made of parameters alone, is among its parents.
    from_main, from_input: whether it depends on the first of the model's inputs, on any.
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
class Meeting:
    """A call by which tensors become one.

    operands: its values before; result: after.
    site: where.  number: among those of its form in one call of its module, from 0.
    """

    form: Form
    operands: tuple[Value, ...]
    result: Value
    site: Site
    number: int


@dataclass
class Trace(TorchFunctionMode):
    """What a pass did.

    values: in their order.  meetings: likewise.
    calls: of each module, for each of its calls, in what form and where tensors met.
    """

    values: list[Value] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)
    calls: dict[nn.Module, list[list[tuple[Form, Site]]]] = field(default_factory=dict)

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
        for tensor in written:
            made = self._add(tensor, func, read, modules)
        if added is not None or (FORMS.get(func, "addition") != "addition" and len(read) > 1):
            form, site = FORMS[func], Site.of(frame)
            earlier = self.calls.setdefault(modules[0], [[]])[-1] if modules else []
            number = sum(other == form for other, _ in earlier)
            earlier.append((form, site))
            self.meetings.append(Meeting(form, tuple(read), made, site, number))
        return result

    def value(self, tensor: Tensor, *, is_main: bool = False, is_input: bool = False) -> Value:
        """What a tensor is now; a parameter or a constant where it hasn't been seen."""
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
        self.values.append(value)  # which keeps the tensor alive, so that no other takes its id
        self._now[id(value.tensor)] = value

    def between(self, first: Value, last: Value) -> Iterator[Value]:
        """The values on the paths from one to another, the last included and the first not."""
        for value in self.values[first.index + 1 : last.index + 1]:
            if last.descends_from(value) and value.descends_from(first):
                yield value


def trace(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Trace:
    """Run a model once, in evaluation mode and without gradients; generators and buffers are left as they were."""
    seen = Trace()
    for position, tensor in enumerate(_tensors((args, kwargs))):
        seen.value(tensor, is_main=position == 0, is_input=True)

    def begin(module: nn.Module, _: Any) -> None:
        seen.calls.setdefault(module, []).append([])

    handles = [module.register_forward_pre_hook(begin) for module in model.modules()]
    try:
        with evaluating(model), torch.no_grad(), torch.random.fork_rng(), seen:
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
