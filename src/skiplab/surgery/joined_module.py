"""Modules whose own additions are replaced by connections while they run."""

import functools
import inspect
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from skiplab.errors import SkiplabError
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.joined_sum import PartsOfSums, joined_sum
from skiplab.surgery.rewritten_forward import rewritten_forward
from skiplab.surgery.shortcut import Shortcut
from skiplab.surgery.torch_calls import OPERATIONS, CallSite, as_sum, caller, checkpointed, innermost

_HOOKED_FORWARD = "_old_forward"
JOINS = "skiplab_joins"  # the submodule of a joined module that holds its joins

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class JoinPlan:
    """Which additions of a module are replaced.

    path: path of the module.
    sums: the additions in one call of the module, in their order.
    joined: the shortcuts that are replaced, by the number in `sums` of their last addition.
    """

    path: str
    sums: tuple[CallSite, ...]
    joined: Mapping[int, Shortcut]

    @functools.cached_property
    def shortcut_at(self) -> Mapping[int, Shortcut]:
        """The shortcuts by the numbers of all their additions."""
        return {number: each for each in self.joined.values() for number in (*each.earlier, each.call)}

    @functools.cached_property
    def number_at(self) -> Mapping[CallSite, int] | None:
        """The numbers of the additions of shortcuts by their sites; None if one is passed more than once."""
        sites = {self.sums[number]: number for number in self.shortcut_at}
        return sites if all(self.sums.count(site) == 1 for site in sites) else None

    @functools.cached_property
    def num_additions(self) -> int:
        return len(self.shortcut_at)

    def is_network_sum(self, module: nn.Module, number: int) -> bool:
        """Whether an addition may stay as it is, because its connection is the identity and nobody looks at it."""
        joins = module._modules[JOINS]._modules  # pyright: ignore[reportOptionalMemberAccess]
        join = cast(ForeignJoin, joins[self.key_at[number]])
        return join.is_network_sum and not join.is_watched

    @functools.cached_property
    def key_at(self) -> Mapping[int, str]:
        """The key of the join to which each addition belongs."""
        return {number: str(each.call) for number, each in self.shortcut_at.items()}

    def changed(self) -> SkiplabError:
        return SkiplabError(
            f"{self.path or 'the model'} adds other tensors in this call than when its shortcuts were found, so "
            f"its code depends on its inputs or on training mode; leave out {', '.join(map(str, self.joined.values()))}"
        )


class _Joining(TorchFunctionMode):
    """Replaces a module's additions by connections while its forward runs, or runs again for a backward pass."""

    def __init__(self, module: "JoinedModule") -> None:
        super().__init__()
        self.module, self.plan, self.reached = module, module.skiplab_plan, 0
        self.parts: PartsOfSums = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in OPERATIONS and (found := as_sum(func, args, kwargs or {})) is not None:
            frame = caller()
            if innermost(frame, _FORWARD) is self.module:
                number = self._next(CallSite.of(frame))
                shortcut = None if number is None else self.plan.shortcut_at.get(number)
                if number is not None and shortcut is not None:
                    if checkpointed(frame, _FORWARD):
                        raise SkiplabError(
                            f"the {shortcut} is inside an activation checkpoint in its module's own code and can't be "
                            "replaced in the backward pass; checkpoint whole modules, or none"
                        )
                    own = functools.partial(func, *args, **(kwargs or {}))
                    return joined_sum(getattr(self.module, JOINS), shortcut, number, found, own, self.parts)
        return func(*args, **(kwargs or {}))

    def _next(self, site: CallSite) -> int | None:
        """The number of an addition at this site; None if it isn't replaced."""
        if self.plan.number_at is not None:
            number = self.plan.number_at.get(site)
            self.reached += number is not None
            return number
        number = self.reached
        if number >= len(self.plan.sums) or self.plan.sums[number] != site:
            raise self.plan.changed()
        self.reached += 1
        return number

    def check_end(self) -> None:
        """Raise an error unless the forward has made the additions that it made when shortcuts were found."""
        if self.reached != (len(self.plan.sums) if self.plan.number_at is None else self.plan.num_additions):
            raise self.plan.changed()


class _paused:  # noqa: N801 - a context manager, as a class because it is entered often
    """Pauses the innermost mode if it replaces the additions of a module around this one."""

    def __enter__(self) -> None:
        mode = _get_current_function_mode()
        self.mode = mode if isinstance(mode, _Joining) else None
        if self.mode is not None:
            self.mode.__exit__(None, None, None)

    def __exit__(self, *_: object) -> None:
        if self.mode is not None:
            self.mode.__enter__()


class _Running(threading.local):
    """The forward of a rewritten module that runs in this thread.

    depth: how many forwards of joined modules run.
    reached: how many of its replaced additions the innermost has reached.
    parts: its unfinished sums.
    """

    depth = 0
    reached = 0

    def __init__(self) -> None:
        self.parts: PartsOfSums = {}


_running = _Running()


class _ModulesWithJoins(dict[str, Any]):
    """The submodules of a joined module, which doesn't see its joins while it runs: it might call them as layers."""

    def _hides(self) -> bool:
        return _running.depth > 0

    def __iter__(self) -> Iterator[str]:
        return (name for name in super().__iter__() if name != JOINS) if self._hides() else super().__iter__()

    def __len__(self) -> int:
        return super().__len__() - (self._hides() and JOINS in self)

    def keys(self) -> Any:
        return list(self) if self._hides() else super().keys()

    def values(self) -> Any:
        return [self[name] for name in self] if self._hides() else super().values()

    def items(self) -> Any:
        return [(name, self[name]) for name in self] if self._hides() else super().items()

    def copy(self) -> "_ModulesWithJoins":
        return _ModulesWithJoins(self)  # of a replica, which hides them too


class _ChangedModule(nn.Module):
    """The base class of modules that are called in another way; see `change_class`."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, (_, *others), *state = super().__reduce_ex__(protocol)
        return _new, (*type(self).__bases__, *others), *state

    def __prepare_scriptable__(self) -> None:
        raise SkiplabError(
            "torch.jit.script can't read a module whose shortcuts are replaced; call torch.jit.trace or torch.export"
        )


class UnjoinedModule(_ChangedModule):
    """A module that is called by a joined module: its own additions aren't replaced."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _paused():
            return super().__call__(*args, **kwargs)


def _eager(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function, which torch.compile leaves out."""
    return cast(Callable[Parameters, Result], torch.compiler.disable(function))


class JoinedModule(_ChangedModule):
    """A module with some of its additions replaced by connections; a function mode finds them."""

    skiplab_plan: JoinPlan

    @_eager
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        joining = _Joining(self)
        with _running_forward(), _paused(), joining:
            result = super().forward(*args, **kwargs)
        joining.check_end()
        return result


_FORWARD = inspect.unwrap(JoinedModule.forward).__code__


@contextmanager
def _running_forward() -> Iterator[None]:
    _running.depth += 1
    try:
        yield
    finally:
        _running.depth -= 1


class RewrittenModule(_ChangedModule):
    """A module with some of its additions replaced by connections, in a copy of its forward that calls them."""

    skiplab_plan: JoinPlan
    skiplab_forward: Callable[..., Any]  # of the class
    skiplab_numbers: tuple[tuple[CallSite, int], ...]  # of the class

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, (_, own, *others), *state = super().__reduce_ex__(protocol)
        return _new_rewritten, (own, self.skiplab_numbers, *others), *state

    @_eager
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(_get_current_function_mode(), _Joining):
            with _paused():
                return self._run(*args, **kwargs)
        return self._run(*args, **kwargs)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        running = _running
        before, parts = running.reached, running.parts
        running.reached, running.parts = 0, {}
        running.depth += 1
        try:
            result = type(self).skiplab_forward(self, *args, **kwargs)
            if running.reached != self.skiplab_plan.num_additions:
                raise self.skiplab_plan.changed()
            return result
        finally:
            running.depth -= 1
            running.reached, running.parts = before, parts


def _replaced_sum(module: RewrittenModule, number: int, left: Any, right: Any) -> Any:
    """What a rewritten forward calls in the place of left + right."""
    _running.reached += 1
    if module.skiplab_plan.is_network_sum(module, number):
        return left + right
    return _replaced(module, number, Tensor.__add__, left, right)


def _replaced_sum_in_place(module: RewrittenModule, number: int, left: Any, right: Any) -> Any:
    """What a rewritten forward calls in the place of left += right."""
    _running.reached += 1
    if module.skiplab_plan.is_network_sum(module, number):
        left += right
        return left
    return _replaced(module, number, Tensor.__iadd__, left, right)


def _replaced(module: RewrittenModule, number: int, function: Callable[..., Any], left: Any, right: Any) -> Any:
    found = as_sum(function, (left, right), {})
    if found is None:
        raise module.skiplab_plan.changed()
    own = functools.partial(function, left, right)
    shortcut = module.skiplab_plan.shortcut_at[number]
    return joined_sum(getattr(module, JOINS), shortcut, number, found, own, _running.parts)


def joined(module: nn.Module, plan: JoinPlan) -> JoinedModule | RewrittenModule:
    """The same module, whose additions in a plan are replaced; its joins are still to be added under `JOINS`."""
    rewritten = None
    if plan.number_at is not None and not isinstance(module, nn.TransformerEncoderLayer):  # which has a fused way
        rewritten = _rewritten_class(type(module), tuple(sorted(plan.number_at.items())))
    if rewritten is not None:
        module.__class__ = cast(Any, rewritten)
    else:
        change_class(module, JoinedModule)
    changed = cast(JoinedModule | RewrittenModule, module)
    changed.skiplab_plan = plan
    object.__setattr__(changed, "_modules", _ModulesWithJoins(module._modules))
    _bind_hooked_forward(module)
    return changed


def unjoined(module: nn.Module) -> None:
    """Undo `joined`; the joins are lost. Does nothing to a module that isn't joined."""
    if isinstance(module, JoinedModule | RewrittenModule):
        del module.skiplab_plan
        object.__setattr__(module, "_modules", {n: each for n, each in module._modules.items() if n != JOINS})
    if isinstance(module, _ChangedModule):
        module.__class__ = type(module).__bases__[1]
        _bind_hooked_forward(module)


def has_hooked_forward(module: nn.Module) -> bool:
    """Whether hooks of Accelerate, as `device_map` sets them, run around the forward, which they keep beside it."""
    return isinstance(vars(module).get(_HOOKED_FORWARD), types.MethodType)


def _bind_hooked_forward(module: nn.Module) -> None:
    """Let these hooks call the forward of the module's present class."""
    if has_hooked_forward(module):
        setattr(module, _HOOKED_FORWARD, types.MethodType(type(module).forward, module))


def change_class(module: nn.Module, mixin: type[ModuleT]) -> ModuleT:
    """The same module with another class: a subclass of the mixin and of its own class, whose name it keeps."""
    module.__class__ = _changed_class(mixin, type(module))
    return cast(ModuleT, module)


@functools.cache
def _changed_class(mixin: type[nn.Module], own: type[nn.Module]) -> type[nn.Module]:
    return _subclass(mixin, own)


def _subclass(mixin: type[nn.Module], own: type[nn.Module], **members: Any) -> type[nn.Module]:
    return type(own.__name__, (mixin, own), {"__module__": own.__module__, "__doc__": own.__doc__, **members})


@functools.cache
def _rewritten_class(own: type[nn.Module], numbers: tuple[tuple[CallSite, int], ...]) -> type[nn.Module] | None:
    """A subclass with a rewritten forward; None if the forward can't be rewritten."""
    forward = rewritten_forward(own.forward, dict(numbers), _replaced_sum, _replaced_sum_in_place)
    if forward is None:
        return None
    return _subclass(RewrittenModule, own, skiplab_forward=forward, skiplab_numbers=numbers)


def _new(mixin: type[_ChangedModule], own: type[nn.Module], *args: Any) -> nn.Module:
    """A new instance for copies and pickles, which can't find a class that was created at run time."""
    changed = _changed_class(mixin, own)
    return changed.__new__(changed, *args)


def _new_rewritten(own: type[nn.Module], numbers: tuple[tuple[CallSite, int], ...], *args: Any) -> nn.Module:
    changed = _rewritten_class(own, numbers)
    if changed is None:
        raise SkiplabError(
            f"the code of {own.__name__} isn't that in which shortcuts were replaced; build the model, then find and "
            "replace its shortcuts again"
        )
    return changed.__new__(changed, *args)
