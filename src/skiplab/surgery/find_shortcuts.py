"""Find the shortcuts of a network among the operations that combine tensors, and their kinds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

from torch import Tensor, nn

from skiplab.surgery.shortcut import Kind, Shortcut, Shortcuts
from skiplab.surgery.torch_calls import PRODUCTS, SUBTRACTIONS, CallSite, Operation
from skiplab.surgery.trace import Merge, Trace, Value, trace

_CHANNELS_SECOND = ("conv", "norm")  # in names of functions whose channels are the second dimension
_CHANNELS_LAST = ("layer_norm", "rms_norm")


def find_shortcuts(model: nn.Module, example_inputs: Any) -> Shortcuts:
    """Run a model once and find where a stream bypasses a branch and is combined with the branch's update.

    The kind of a shortcut depends on how the stream s and the update u, which are combined, were computed:

        identity      u was computed from s
        projection    neither was computed from the other, and both were computed from a common tensor, the fork
        long skip     an identity or projection whose branch runs at a lower resolution, or contains other shortcuts
                      and leaves the module in which it started; or a concatenation of s and u
        conditioning  one of them doesn't depend on the model's first input

    There must be a parameter between the fork (s, for an identity) and u: x + tanh(x) isn't a shortcut.

    The model runs in evaluation mode without gradients. It, its buffers and all generators stay as they are.

    Args:
        model: any PyTorch network that runs eagerly.
        example_inputs: arguments of its forward: a tensor, a tuple of positional arguments, or a dictionary of named
            arguments.

    Differs from the usual meaning of a shortcut: if a stream starts as a parameter (learned queries), its first join
    counts as conditioning, and it has no shortcut if it is combined with no input.
    """
    args, kwargs = _arguments(example_inputs)
    traced = trace(model, args, kwargs)
    paths = {module: path for path, module in model.named_modules()}
    found: list[tuple[Shortcut, Value]] = []
    for merge in traced.merges:
        if merge.operation == "concatenation":
            shortcut = _concatenated(traced, merge, paths)
        else:
            shortcut = _merged(traced, merge, paths, [result for each, result in found if each.kind != "conditioning"])
        if shortcut is not None and not any(_same(shortcut, each) for each, _ in found):
            found.append((shortcut, merge.result))
    sums = {paths[module]: _addition_sites(calls) for module, calls in traced.calls.items() if module in paths}
    return Shortcuts(model, _with_stages([shortcut for shortcut, _ in found]), sums, _called_modules(traced, paths))


def _arguments(example_inputs: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if isinstance(example_inputs, Mapping):
        return (), example_inputs
    return (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs), {}


def _merged(traced: Trace, merge: Merge, paths: Mapping[nn.Module, str], earlier: Sequence[Value]) -> Shortcut | None:
    """The shortcut that ends where two tensors are combined; None if there is none."""
    if merge.result.tensor.ndim < 2:
        return None
    left, right = merge.operands[:2]
    if not (left.from_input and right.from_input) or left is right:
        return None
    if left.from_main != right.from_main:
        return _shortcut(merge, paths, "conditioning", left if left.from_main else right, ())
    interpolated = _interpolates(left, right)
    fork, stream, update = _fork(traced, left, right, before_parameters=interpolated)
    if fork is None:
        unrelated = not left.from_main and merge.operation == "addition"
        return _shortcut(merge, paths, "conditioning", left, ()) if unrelated else None
    branch = list(traced.between(fork, update))
    if not any(value.reads_parameter for value in branch):
        return None
    operation: Operation = "interpolation" if interpolated else merge.operation
    kind: Kind = "identity" if fork is stream else "projection"
    if _lowers_resolution(branch, fork, stream, update) or _spans_shortcuts(merge, branch, stream, earlier):
        kind = "long skip"
    return _shortcut(merge, paths, kind, stream, branch, operation)


def _fork(traced: Trace, left: Value, right: Value, *, before_parameters: bool) -> tuple[Value | None, Value, Value]:
    """The fork from which both tensors were computed (None if there is none), the stream, and the update.

    If both were computed from a common fork, the stream is the one with fewer parameters between the fork and itself.
    `before_parameters` looks for the last fork with a parameter between itself and one of them. Two products with one
    gate need this, because they also fork at the gate.
    """
    for stream, update in ((left, right), (right, left)):
        if update.descends_from(stream):
            return stream, stream, update
    shared = left.ancestors & right.ancestors
    common = [value for value in traced.values[: left.index] if shared >> value.index & 1 and value.from_input]
    common = [value for value in common if value.from_main == left.from_main]
    if not common:
        return None, left, right

    def num_parameters(fork: Value) -> tuple[int, int]:
        """Parameters between a fork and each of the two tensors."""
        on_left, on_right = (sum(each.reads_parameter for each in traced.between(fork, side)) for side in (left, right))
        return on_left, on_right

    fork = common[-1]
    if before_parameters:
        fork = next((each for each in reversed(common) if any(num_parameters(each))), common[0])
    on_left, on_right = num_parameters(fork)
    return (fork, left, right) if on_left < on_right else (fork, right, left)


def _interpolates(left: Value, right: Value) -> bool:
    """Whether two products have factors t and 1 - t: their sum is t a + (1 - t) b."""
    if not {left.function, right.function} <= PRODUCTS:
        return False
    return any(
        factor.function in SUBTRACTIONS and any(parent in other.parents for parent in factor.parents)
        for one, other in ((left, right), (right, left))
        for factor in one.parents
    )


def _lowers_resolution(branch: Sequence[Value], fork: Value, stream: Value, update: Value) -> bool:
    """Whether every path from the fork to the update passes through a lower resolution."""
    shape = stream.tensor.shape
    if len(shape) < 4 or update.tensor.shape[2:] != shape[2:]:
        return False
    reached = 1 << fork.index
    for value in branch:
        other = value.tensor.shape
        lower = len(other) == len(shape) and other[2:].numel() < shape[2:].numel()
        if not lower and any(reached >> parent.index & 1 for parent in value.parents):
            reached |= 1 << value.index
    return not reached >> update.index & 1


def _spans_shortcuts(merge: Merge, branch: Sequence[Value], stream: Value, earlier: Sequence[Value]) -> bool:
    """Whether its branch contains other shortcuts, and more than its own module computes from its own input."""
    owner = merge.result.modules[0]
    if not any(value in earlier for value in branch):
        return False
    return owner in stream.modules or any(owner not in value.modules for value in branch)


def _concatenated(traced: Trace, merge: Merge, paths: Mapping[nn.Module, str]) -> Shortcut | None:
    """The long skip that ends in a concatenation; None if there is none."""
    for stream in merge.operands:
        for update in merge.operands:
            if update is stream or not (stream.from_main and update.descends_from(stream)):
                continue
            branch = list(traced.between(stream, update))
            if any(value.reads_parameter for value in branch):
                return _shortcut(merge, paths, "long skip", stream, branch)
    return None


def _shortcut(
    merge: Merge,
    paths: Mapping[nn.Module, str],
    kind: Kind,
    stream: Value,
    branch: Sequence[Value],
    operation: Operation | None = None,
) -> Shortcut | None:
    owner = next(iter(merge.result.modules), None)
    if owner is None or owner not in paths:
        return None
    return Shortcut(
        path=paths[owner],
        call=merge.number,
        kind=kind,
        operation=operation or merge.operation,
        shape=tuple(merge.result.tensor.shape),
        stage=-1,
        branch=_modules(merge.result.modules, branch, paths) if kind != "conditioning" else (),
        stream_first=stream is merge.operands[0],
        channel_dim=_channel_dim(stream.tensor, branch),
        site=merge.site,
    )


def _modules(callers: Sequence[nn.Module], branch: Sequence[Value], paths: Mapping[nn.Module, str]) -> tuple[str, ...]:
    """The outermost modules that the branch calls, without those whose calls contain the end of the shortcut."""
    names: dict[str, None] = {}
    for value in branch:
        inside = [module for module in value.modules if module not in callers and module in paths]
        if inside:
            names[paths[inside[-1]]] = None
    return tuple(names)


def _channel_dim(stream: Tensor, branch: Sequence[Value]) -> int:
    """The dimension of the channels, according to the last function with parameters in the branch."""
    weighted = [value for value in branch if value.reads_parameter]
    if weighted:
        last = weighted[-1]
        name = getattr(last.function, "__name__", "")
        second = any(word in name for word in _CHANNELS_SECOND) and name not in _CHANNELS_LAST
        own = 1 if second else last.tensor.ndim - 1
        width = last.tensor.shape[own]
        same = [dim for dim in range(1, stream.ndim) if stream.shape[dim] == width]
        if own in same and last.tensor.ndim == stream.ndim:
            return own
        if len(same) == 1:
            return same[0]
    return 1 if stream.ndim >= 4 else stream.ndim - 1


def _addition_sites(calls: Sequence[Sequence[tuple[Operation, CallSite]]]) -> tuple[CallSite, ...] | None:
    """The additions of two tensors in each call of a module; None if its calls differ."""
    different = {tuple(site for operation, site in call if operation == "addition") for call in calls}
    return different.pop() if len(different) == 1 else None


def _called_modules(traced: Trace, paths: Mapping[nn.Module, str]) -> dict[str, set[str]]:
    """For each module path, the paths of the modules that it calls and that have submodules."""
    called: dict[str, set[str]] = {path: set() for path in paths.values()}
    for value in traced.values:
        for inner, outer in pairwise(value.modules):
            if inner in paths and outer in paths and next(inner.children(), None) is not None:
                called[paths[outer]].add(paths[inner])
    return called


def _same(one: Shortcut, other: Shortcut) -> bool:
    """Whether they are the same code in two calls of one module."""
    return (one.path, one.operation, one.call, one.site) == (other.path, other.operation, other.call, other.site)


def _with_stages(found: Sequence[Shortcut]) -> list[Shortcut]:
    """The shortcuts with the numbers of their stages."""
    staged, stage = {}, -1
    shortcuts = [each for each in found if each.kind in ("identity", "projection")]
    for stage, (_, run) in enumerate(groupby(shortcuts, key=lambda each: each.shape)):
        staged |= {id(each): replace(each, stage=stage) for each in run}
    return [staged.get(id(each), each) for each in found]
