"""Which of the places where a network's tensors meet are shortcuts, and of what kind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

from torch import Tensor, nn

from skiplab.surgery.shortcut import Kind, Shortcut, Shortcuts
from skiplab.surgery.torch_calls import PRODUCTS, SUBTRACTIONS, Form, Site
from skiplab.surgery.trace import Meeting, Trace, Value, trace

_CHANNELS_SECOND = ("conv", "norm")  # what functions of parameters are called whose channels come second
_CHANNELS_LAST = ("layer_norm", "rms_norm")


def find_shortcuts(model: nn.Module, example_inputs: Any) -> Shortcuts:
    """Run a model once and say where a stream goes round a branch and is added to its update.

    With s and u the two tensors that meet, and all that depends on the model's first input told apart from the rest:

        identity      s is an ancestor of u
        projection    neither is the other's ancestor, and both are made from one tensor
        long skip     the same, around what runs at a lower resolution, or around other shortcuts from one module into
                      another; or s and u are concatenated
        conditioning  one of them doesn't depend on the first input

    Between the tensor at which they part and u there is a parameter, so that x + tanh(x) is none.

    The model runs in evaluation mode, without gradients; it, its buffers and all generators are left as they were.

    Args:
        model: any network of PyTorch that runs eagerly.
        example_inputs: what its forward is called with: a tensor, a tuple of positional arguments, or a dictionary of
            named ones.

    Differs from what its author may call a shortcut: one whose stream starts as a parameter (learned queries) counts
    as conditioning at its first join, and not at all where it meets no other input.
    """
    args, kwargs = _arguments(example_inputs)
    seen = trace(model, args, kwargs)
    paths = {module: path for path, module in model.named_modules()}
    found: list[tuple[Shortcut, Value]] = []
    for meeting in seen.meetings:
        if meeting.form == "concatenation":
            shortcut = _concatenated(seen, meeting, paths)
        else:
            shortcut = _met(seen, meeting, paths, [result for each, result in found if each.kind != "conditioning"])
        if shortcut is not None and not any(_same(shortcut, each) for each, _ in found):
            found.append((shortcut, meeting.result))
    sums = {paths[module]: _sums(calls) for module, calls in seen.calls.items() if module in paths}
    return Shortcuts(model, _staged([shortcut for shortcut, _ in found]), sums, _called(seen, paths))


def _arguments(example_inputs: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if isinstance(example_inputs, Mapping):
        return (), example_inputs
    return (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs), {}


def _met(seen: Trace, meeting: Meeting, paths: Mapping[nn.Module, str], earlier: Sequence[Value]) -> Shortcut | None:
    """The shortcut that ends where two tensors meet; None where there is none."""
    if meeting.result.tensor.ndim < 2:
        return None
    left, right = meeting.operands[:2]
    if not (left.from_input and right.from_input) or left is right:
        return None
    if left.from_main != right.from_main:
        return _shortcut(meeting, paths, "conditioning", left if left.from_main else right, ())
    interpolated = _interpolates(left, right)
    parting, stream, update = _parting(seen, left, right, before_parameters=interpolated)
    if parting is None:
        unrelated = not left.from_main and meeting.form == "addition"
        return _shortcut(meeting, paths, "conditioning", left, ()) if unrelated else None
    branch = list(seen.between(parting, update))
    if not any(value.reads_parameter for value in branch):
        return None
    form: Form = "interpolation" if interpolated else meeting.form
    kind: Kind = "identity" if parting is stream else "projection"
    if _dips(branch, parting, stream, update) or _crosses(meeting, branch, stream, earlier):
        kind = "long skip"
    return _shortcut(meeting, paths, kind, stream, branch, form)


def _parting(seen: Trace, left: Value, right: Value, *, before_parameters: bool) -> tuple[Value | None, Value, Value]:
    """The tensor at which stream and update part, the stream, and the update; None for the first where there is none.

    Of two that are each made from it, the stream is the one with fewer parameters on its way. `before_parameters`
    looks for the last one with parameters on a way: two products of one gate part again at it.
    """
    for stream, update in ((left, right), (right, left)):
        if update.descends_from(stream):
            return stream, stream, update
    shared = left.ancestors & right.ancestors
    common = [value for value in seen.values[: left.index] if shared >> value.index & 1 and value.from_input]
    common = [value for value in common if value.from_main == left.from_main]
    if not common:
        return None, left, right
    for parting in reversed(common):
        on_left, on_right = (
            sum(each.reads_parameter for each in seen.between(parting, side)) for side in (left, right)
        )
        if on_left + on_right > 0 or not before_parameters:
            break
    return (parting, left, right) if on_left < on_right else (parting, right, left)


def _interpolates(left: Value, right: Value) -> bool:
    """Whether two products are added, of which one's factor is a constant less the other's: t a + (1 - t) b."""
    if not {left.function, right.function} <= PRODUCTS:
        return False
    return any(
        factor.function in SUBTRACTIONS and any(parent in other.parents for parent in factor.parents)
        for one, other in ((left, right), (right, left))
        for factor in one.parents
    )


def _dips(branch: Sequence[Value], parting: Value, stream: Value, update: Value) -> bool:
    """Whether all ways from where they part to the update lead through a lower resolution, and back."""
    shape = stream.tensor.shape
    if len(shape) < 4 or update.tensor.shape[2:] != shape[2:]:
        return False
    reached = 1 << parting.index
    for value in branch:
        other = value.tensor.shape
        lower = len(other) == len(shape) and other[2:].numel() < shape[2:].numel()
        if not lower and any(reached >> parent.index & 1 for parent in value.parents):
            reached |= 1 << value.index
    return not reached >> update.index & 1


def _crosses(meeting: Meeting, branch: Sequence[Value], stream: Value, earlier: Sequence[Value]) -> bool:
    """Whether it goes round other shortcuts, and not from what its module reads by what its module does alone."""
    owner = meeting.result.modules[0]
    if not any(value in earlier for value in branch):
        return False
    return owner in stream.modules or any(owner not in value.modules for value in branch)


def _concatenated(seen: Trace, meeting: Meeting, paths: Mapping[nn.Module, str]) -> Shortcut | None:
    """A long skip whose ends are concatenated."""
    for stream in meeting.operands:
        for update in meeting.operands:
            if update is stream or not (stream.from_main and update.descends_from(stream)):
                continue
            branch = list(seen.between(stream, update))
            if any(value.reads_parameter for value in branch):
                return _shortcut(meeting, paths, "long skip", stream, branch)
    return None


def _shortcut(
    meeting: Meeting,
    paths: Mapping[nn.Module, str],
    kind: Kind,
    stream: Value,
    branch: Sequence[Value],
    form: Form | None = None,
) -> Shortcut | None:
    owner = meeting.result.modules[0] if meeting.result.modules else None
    if owner not in paths:
        return None
    return Shortcut(
        path=paths[owner],
        call=meeting.number,
        kind=kind,
        form=form or meeting.form,
        shape=tuple(meeting.result.tensor.shape),
        stage=-1,
        branch=_modules(meeting.result.modules, branch, paths) if kind != "conditioning" else (),
        stream_first=stream is meeting.operands[0],
        channel_dim=_channel_dim(stream.tensor, branch),
        site=meeting.site,
    )


def _modules(callers: Sequence[nn.Module], branch: Sequence[Value], paths: Mapping[nn.Module, str]) -> tuple[str, ...]:
    """What the branch calls: the outermost modules that aren't also being called where the shortcut ends."""
    names: dict[str, None] = {}
    for value in branch:
        inside = [module for module in value.modules if module not in callers and module in paths]
        if inside:
            names[paths[inside[-1]]] = None
    return tuple(names)


def _channel_dim(stream: Tensor, branch: Sequence[Value]) -> int:
    """The dimension of the channels, from the last function of parameters in the branch."""
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


def _sums(calls: Sequence[Sequence[tuple[Form, Site]]]) -> tuple[Site, ...] | None:
    """Where each call of a module adds two tensors; None where its calls differ."""
    different = {tuple(site for form, site in call if form == "addition") for call in calls}
    return different.pop() if len(different) == 1 else None


def _called(seen: Trace, paths: Mapping[nn.Module, str]) -> dict[str, set[str]]:
    """The modules of several that each module calls."""
    called: dict[str, set[str]] = {path: set() for path in paths.values()}
    for value in seen.values:
        for inner, outer in pairwise(value.modules):
            if inner in paths and outer in paths and next(inner.children(), None) is not None:
                called[paths[outer]].add(paths[inner])
    return called


def _same(one: Shortcut, other: Shortcut) -> bool:
    """Whether they are two passes through one place: of a module that is called several times."""
    return (one.path, one.form, one.call, one.site) == (other.path, other.form, other.call, other.site)


def _staged(found: Sequence[Shortcut]) -> list[Shortcut]:
    """With the numbers of their stages."""
    staged, stage = {}, -1
    shortcuts = [each for each in found if each.kind in ("identity", "projection")]
    for stage, (_, run) in enumerate(groupby(shortcuts, key=lambda each: each.shape)):
        staged |= {id(each): replace(each, stage=stage) for each in run}
    return [staged.get(id(each), each) for each in found]
