"""Modules whose own additions are replaced by connections while they run."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from skiplab.errors import SkiplabError
from skiplab.surgery.shortcut import Shortcut
from skiplab.surgery.torch_calls import OPERATIONS, CallSite, Sum, as_sum, caller, checkpointed, innermost

JOINS = "skiplab_joins"  # the submodule of a joined module that holds its joins

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class JoinPlan:
    """Which additions of a module are replaced.

    path: path of the module.
    sums: the additions in one call of the module, in their order.
    joined: the shortcuts among them that are replaced, by their number in `sums`.
    """

    path: str
    sums: tuple[CallSite, ...]
    joined: Mapping[int, Shortcut]


class _Joining(TorchFunctionMode):
    """Replaces a module's additions by connections while its forward runs, or runs again for a backward pass."""

    def __init__(self, module: "JoinedModule") -> None:
        super().__init__()
        self.module, self.plan, self.number = module, module.skiplab_plan, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in OPERATIONS and (found := as_sum(func, args, kwargs or {})) is not None:
            frame = caller()
            if innermost(frame, _FORWARD) is self.module:
                number = self.number
                self._expect(CallSite.of(frame))
                if number in self.plan.joined:
                    if checkpointed(frame, _FORWARD):
                        raise SkiplabError(
                            f"the {self.plan.joined[number]} is inside an activation checkpoint in its module's own "
                            "code and can't be replaced in the backward pass; checkpoint whole modules, or none"
                        )
                    return self._join(found, number)
        return func(*args, **(kwargs or {}))

    def _expect(self, site: CallSite) -> None:
        if self.number >= len(self.plan.sums) or self.plan.sums[self.number] != site:
            raise self.changed()
        self.number += 1

    def changed(self) -> SkiplabError:
        return SkiplabError(
            f"{self.plan.path or 'the model'} adds other tensors in this call than when its shortcuts were found, so "
            "its code depends on its inputs or on training mode; leave out "
            f"{', '.join(map(str, self.plan.joined.values()))}"
        )

    def _join(self, found: Sum, number: int) -> Tensor:
        shortcut, join = self.plan.joined[number], getattr(self.module, JOINS)[str(number)]
        right = found.right if found.alpha == 1 else found.alpha * found.right
        left = found.left if found.target is None else found.left.clone()  # autograd needs the old values
        stream, update = (left, right) if shortcut.stream_first else (right, left)
        if stream.ndim != len(shortcut.shape) or stream.shape[shortcut.channel_dim] != shortcut.width:
            raise SkiplabError(
                f"the {shortcut} was found for a stream of shape {shortcut.shape} with {shortcut.width} channels, and "
                f"this stream has the shape {tuple(stream.shape)}; find and replace the shortcuts for such inputs"
            )
        if (channels := shortcut.channel_dim) == 1:
            joined = join(stream, update)
        else:
            joined = join(stream.movedim(channels, 1), update.movedim(channels, 1)).movedim(1, channels)
        if found.target is not None:
            return found.target.copy_(joined)
        return joined if shortcut.stream_first else _with_layout_of_sum(joined, left, right)


def _with_layout_of_sum(joined: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """A copy in the memory layout of left + right, so that all later operations compute equal results."""
    if left.stride() == right.stride():
        return joined
    strides = _strides_of_sum(left.shape, left.stride(), right.shape, right.stride())
    if joined.stride() == strides:
        return joined
    return torch.empty_strided(joined.shape, strides, dtype=joined.dtype, device=joined.device).copy_(joined)


@functools.lru_cache(maxsize=1024)
def _strides_of_sum(
    shape: torch.Size, strides: tuple[int, ...], other_shape: torch.Size, other_strides: tuple[int, ...]
) -> tuple[int, ...]:
    left = torch.empty_strided(shape, strides, device="meta")
    return (left + torch.empty_strided(other_shape, other_strides, device="meta")).stride()


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


class _ChangedModule(nn.Module):
    """The base class of modules that are called in another way; see `change_class`."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, (_, *others), *state = super().__reduce_ex__(protocol)
        return _new, (*type(self).__bases__, *others), *state


class UnjoinedModule(_ChangedModule):
    """A module that is called by a joined module: its own additions aren't replaced."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _paused():
            return super().__call__(*args, **kwargs)


def _eager(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function, which torch.compile leaves out."""
    return cast(Callable[Parameters, Result], torch.compiler.disable(function))


class JoinedModule(_ChangedModule):
    """A module with some of its additions replaced by connections."""

    skiplab_plan: JoinPlan

    @_eager
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        joining = _Joining(self)
        with _paused(), joining:
            result = super().forward(*args, **kwargs)
        if joining.number != len(joining.plan.sums):
            raise joining.changed()
        return result


_FORWARD = inspect.unwrap(JoinedModule.forward).__code__


class _JoinedSequential(JoinedModule):
    """A joined nn.Sequential, which must not call its joins as layers."""

    def __iter__(self):
        return (module for name, module in self._modules.items() if name != JOINS)

    def __len__(self) -> int:
        return len(self._modules) - 1


def change_class(module: nn.Module, mixin: type[ModuleT]) -> ModuleT:
    """The same module with another class: a subclass of the mixin and of its own class, whose name it keeps."""
    own = type(module)
    sequential = mixin is JoinedModule and issubclass(own, nn.Sequential)
    module.__class__ = _changed_class(_JoinedSequential if sequential else mixin, own)
    return cast(ModuleT, module)


def restore_class(module: nn.Module) -> None:
    """Undo `change_class`; does nothing if the class is unchanged."""
    if isinstance(module, _ChangedModule):
        module.__class__ = type(module).__bases__[1]


@functools.cache
def _changed_class(mixin: type[nn.Module], own: type[nn.Module]) -> type[nn.Module]:
    return type(own.__name__, (mixin, own), {"__module__": own.__module__, "__doc__": own.__doc__})


def _new(mixin: type[_ChangedModule], own: type[nn.Module], *args: Any) -> nn.Module:
    """A new instance for copies and pickles, which can't find a class that was created at run time."""
    changed = _changed_class(mixin, own)
    return changed.__new__(changed, *args)
