"""Find the shortcuts of a network among the operations that combine tensors, and their kinds."""

import gc
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from itertools import groupby, pairwise
from typing import Any

from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.fx import GraphModule
from torch.nn.parameter import UninitializedParameter

from skiplab.errors import SkiplabError
from skiplab.surgery.kinds import readings
from skiplab.surgery.merge import Call, Merge
from skiplab.surgery.reading import Reading
from skiplab.surgery.shortcut import Shortcut, Shortcuts
from skiplab.surgery.torch_calls import CallSite, Operation
from skiplab.surgery.trace import Trace, trace
from skiplab.surgery.value import Value

_DEEPEST = 6  # of objects within objects that may hold tensors


def find_shortcuts(model: nn.Module, example_inputs: Any, *, training: bool = False) -> Shortcuts:
    """Run a model once and find where a stream bypasses a branch and is combined with the branch's update.

    The kind of a shortcut depends on how the stream s and the update u, which are combined, were computed:

        identity      u was computed from s, or from what s was computed from without a parameter
        projection    both were computed from one tensor, the fork, u by more layers than s
        long skip     the same, and the branch raises the resolution again, as a decoder does; or a concatenation of s
                      and u along the channels
        conditioning  one is the embedding of an input that the other doesn't need
        uncertain     a merge of these forms with a doubt, such as an update that is used elsewhere too, or a stream
                      that is multiplied with weights computed from it; it isn't replaced unless chosen by its kind

    'Computed from' means that a gradient could flow. There must be a parameter between the fork and u, or a function
    that combines positions. A sum of more than two terms is one shortcut. docs/finding_shortcuts.md has the whole
    notion.

    The model runs without gradients. It, its buffers and all generators stay as they are.

    Args:
        model: any PyTorch network that runs eagerly.
        example_inputs: arguments of its forward: a tensor, a tuple of positional arguments, or named arguments in a
            dictionary or in the output of a tokenizer.
        training: whether the model runs in training mode, for additions that it makes in this mode alone.

    Raises:
        SkiplabError: if the model is compiled, or the inputs hold no tensor.
    """
    _check(model)
    args, kwargs = _arguments(example_inputs)
    inputs = list(dict.fromkeys(_tensors_in((args, kwargs), _DEEPEST)))
    if not inputs:
        raise SkiplabError(
            f"example_inputs is a {type(example_inputs).__name__} that holds no tensor; give the arguments of the "
            "model's forward: a tensor, a tuple, or a dictionary of named arguments"
        )
    with _without_garbage_collection():
        try:
            traced = trace(model, args, kwargs, inputs, training=training)
        except TypeError as error:
            _check_arguments(model, args, kwargs, error)
            raise
        found = readings(traced)
    paths = {module: path for path, module in model.named_modules()}
    levels = _levels(found)
    shortcuts: dict[tuple[Any, ...], Shortcut] = {}
    for reading, level in zip(found, levels, strict=True):
        if (shortcut := _shortcut(reading, level, paths)) is not None:
            shortcuts.setdefault((shortcut.path, shortcut.operation, shortcut.call, shortcut.site), shortcut)
    sums = {paths[module]: _addition_sites(calls) for module, calls in traced.calls.items() if module in paths}
    return Shortcuts(model, _with_stages(list(shortcuts.values())), sums, _called_modules(traced, paths))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Every value of a trace lives until its end, so looking for garbage among them takes ever longer."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _check(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise SkiplabError(f"model is a {type(model).__name__}; valid: a torch.nn.Module")
    compiled = next(
        (n for n, each in model.named_modules() if isinstance(each, OptimizedModule) or each._compiled_call_impl), None
    )
    if compiled is not None:
        raise SkiplabError(
            f"{compiled or 'the model'} is compiled by torch.compile; find and replace the shortcuts of the model as "
            "it was before, and compile it then"
        )

    lazy = next((n for n, each in model.named_parameters() if isinstance(each, UninitializedParameter)), None)
    if lazy is not None:
        raise SkiplabError(f"{lazy} has no shape yet; run the model once, then find its shortcuts")
    graphs = ((n, each) for n, each in model.named_modules() if isinstance(each, GraphModule))
    exported = next((n for n, each in graphs if "train" in vars(each)), None)
    if exported is not None:
        raise SkiplabError(
            f"{exported or 'the model'} has its mode fixed, as torch.export does; find and replace the shortcuts of "
            "the model as it was before, and export it then"
        )


def _check_arguments(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], error: TypeError) -> None:
    """Raise an error if a forward can't be called with such arguments."""
    signature = inspect.signature(model.forward)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as reason:
        given = f"the names {', '.join(kwargs)}" if kwargs else f"{len(args)} without names"
        raise SkiplabError(
            f"example_inputs are {given}, which {type(model).__name__}.forward doesn't take: {reason}; its arguments "
            f"are {', '.join(signature.parameters)}: give a tuple, or a dictionary with their names"
        ) from error


def _arguments(example_inputs: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    return (tuple(example_inputs), {}) if isinstance(example_inputs, tuple | list) else ((example_inputs,), {})


def _tensors_in(tree: Any, depth: int) -> Iterator[Tensor]:
    """The tensors that an object holds: in sequences, mappings, and attributes."""
    if isinstance(tree, Tensor):
        yield tree
        return
    if not depth or isinstance(tree, str | bytes | int | float | nn.Module | type):
        return
    if isinstance(tree, Mapping):
        inner = list(tree.values())
    elif isinstance(tree, list | tuple | set | frozenset):
        inner = list(tree)
    elif is_dataclass(tree):
        inner = [getattr(tree, each.name) for each in fields(tree)]
    else:
        inner = list(getattr(tree, "__dict__", {}).values())
    for each in inner:
        yield from _tensors_in(each, depth - 1)


def _levels(found: Sequence[Reading]) -> list[int]:
    """For each shortcut, in how many branches of others it lies."""
    number = {reading.merge.result: index for index, reading in enumerate(found)}
    levels = [0] * len(found)
    for index, reading in enumerate(found):
        for value in reading.branch:
            inner = number.get(value, index)
            if inner != index:
                levels[inner] += 1
    return levels


def _shortcut(reading: Reading, level: int, paths: Mapping[nn.Module, str]) -> Shortcut | None:
    merge = reading.merge
    owner = next((module for module in merge.result.modules if module in paths), None)
    if owner is None:
        return None
    operation: Operation = reading.operation
    reached = merge.call if merge.result.modules[0] is owner else None  # a module that the model doesn't hold stays
    if reached is None and merge.operation == "addition":
        operation = "hidden addition"
    call = reached or Call(None, CallSite("", merge.result.name, merge.result.index), -1)
    return Shortcut(
        path=paths[owner],
        call=call.number,
        kind=reading.kind,
        operation=operation,
        shape=merge.result.shape,
        stage=-1,
        level=level,
        branch=_modules(merge.result.modules, reading.branch, paths) if reading.kind != "conditioning" else (),
        earlier=tuple(each.call.number for each in reading.earlier if each.call is not None),
        stream_first=_stream_first(reading),
        channel_dim=_channel_dim(reading),
        device=merge.result.device,
        site=call.site,
    )


def _stream_first(reading: Reading) -> bool:
    """Whether the stream, or the sum that holds it, is the left operand of each addition... of the first of them."""
    merge: Merge = (*reading.earlier, reading.merge)[0]
    return reading.stream is merge.operands[0]


def _modules(callers: Sequence[nn.Module], branch: Sequence[Value], paths: Mapping[nn.Module, str]) -> tuple[str, ...]:
    """The outermost modules that the branch calls, without those whose calls contain the end of the shortcut."""
    names: dict[str, None] = {}
    for value in branch:
        inside = [module for module in value.modules if module not in callers and module in paths]
        if inside:
            names[paths[inside[-1]]] = None
    return tuple(names)


def _channel_dim(reading: Reading) -> int:
    """The dimension of the stream's channels: that of the update, or of the stream, or as is usual."""
    result = reading.merge.result
    for value in (reading.update, reading.stream, result):
        if value.channel is not None:
            return value.channel + len(result.shape) - len(value.shape)
    return 1 if len(result.shape) >= 4 else len(result.shape) - 1


def _addition_sites(calls: Sequence[Sequence[tuple[Operation, CallSite]]]) -> tuple[CallSite, ...] | None:
    """The additions of two tensors in each call of a module; None if its calls differ."""
    different = {tuple(site for operation, site in call if operation == "addition") for call in calls}
    return different.pop() if len(different) == 1 else None


def _called_modules(traced: Trace, paths: Mapping[nn.Module, str]) -> dict[str, set[str]]:
    """For each module path, the paths of the modules that it calls and that have submodules."""
    called: dict[str, set[str]] = {path: set() for path in paths.values()}
    for modules in {value.modules for value in traced.values}:
        for inner, outer in pairwise(modules):
            if inner in paths and outer in paths and next(inner.children(), None) is not None:
                called[paths[outer]].add(paths[inner])
    return called


def _with_stages(found: Sequence[Shortcut]) -> list[Shortcut]:
    """The shortcuts with the numbers of their stages."""
    staged, stage = {}, -1
    shortcuts = [each for each in found if each.kind in ("identity", "projection")]
    for stage, (_, run) in enumerate(groupby(shortcuts, key=lambda each: each.shape)):
        staged |= {id(each): replace(each, stage=stage) for each in run}
    return [staged.get(id(each), each) for each in found]
