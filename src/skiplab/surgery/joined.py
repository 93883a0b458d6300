"""Modules in whose code additions are joined by connections while they run."""

import copyreg
import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from skiplab.errors import SkiplabError
from skiplab.surgery.shortcut import Shortcut
from skiplab.surgery.torch_calls import FORMS, Site, Sum, as_sum, caller, checkpointed, innermost

JOINS = "skiplab_joins"  # the submodule of a joined module that holds what its additions are joined by


@dataclass(frozen=True)
class Plan:
    """sums: where one call of the module adds.  joined: the shortcuts among them, by number.  path: of the module."""

    path: str
    sums: tuple[Site, ...]
    joined: Mapping[int, Shortcut]


class _Joining(TorchFunctionMode):
    """Puts connections in the places of a module's additions, while its forward runs, or runs again for a backward."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.plan, self.number = module, module.skiplab_plan, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in FORMS and (found := as_sum(func, args, kwargs or {})) is not None:
            frame = caller()
            if innermost(frame, _FORWARD) is self.module:
                number = self.number
                self._expect(Site.of(frame))
                if number in self.plan.joined:
                    if checkpointed(frame, _FORWARD):
                        raise SkiplabError(
                            f"{self.plan.joined[number]} is checkpointed together with its module's own code, where it "
                            "can't be joined in the backward pass; checkpoint whole modules, or none"
                        )
                    return self._join(found, number)
        return func(*args, **(kwargs or {}))

    def _expect(self, site: Site) -> None:
        if self.number >= len(self.plan.sums) or self.plan.sums[self.number] != site:
            raise self.changed()
        self.number += 1

    def changed(self) -> SkiplabError:
        return SkiplabError(
            f"{self.plan.path or 'the model'} adds other tensors in this call than when its shortcuts were found, so "
            "that they can't be told apart: what it does depends on its inputs, or on whether it trains; leave out "
            f"{', '.join(map(str, self.plan.joined.values()))}"
        )

    def _join(self, found: Sum, number: int) -> Tensor:
        shortcut, join = self.plan.joined[number], getattr(self.module, JOINS)[str(number)]
        right = found.right if found.alpha == 1 else found.alpha * found.right
        left = found.left if found.target is None else found.left.clone()  # what is written to isn't kept for backward
        stream, update = (left, right) if shortcut.stream_first else (right, left)
        if stream.ndim != len(shortcut.shape) or stream.shape[shortcut.channel_dim] != shortcut.width:
            raise SkiplabError(
                f"{shortcut} was found for a stream of shape {shortcut.shape} with {shortcut.width} channels, and got "
                f"{tuple(stream.shape)}; find and replace the shortcuts for such inputs"
            )
        if (channels := shortcut.channel_dim) == 1:
            joined = join(stream, update)
        else:
            joined = join(stream.movedim(channels, 1), update.movedim(channels, 1)).movedim(1, channels)
        if found.target is not None:
            return found.target.copy_(joined)
        return joined if shortcut.stream_first else _laid_out(joined, left, right)


def _laid_out(joined: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """A tensor in the memory layout of left + right, which takes after the left one, so that what follows is equal."""
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


class _paused:  # noqa: N801 - a context manager, and a class as it is entered often
    """Without the innermost mode, where it joins the additions of a module around this one."""

    def __enter__(self) -> None:
        mode = _get_current_function_mode()
        self.mode = mode if isinstance(mode, _Joining) else None
        if self.mode is not None:
            self.mode.__exit__(None, None, None)

    def __exit__(self, *_: object) -> None:
        if self.mode is not None:
            self.mode.__enter__()


class _Changed(nn.Module):
    """What a module becomes that is called in another way; see `change`."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, (_, *others), *state = super().__reduce_ex__(protocol)
        return _new, (*type(self).__bases__, *others), *state


class Outside(_Changed):
    """A module that is called by one whose additions are joined: its own are none of them, and run as they are."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _paused():
            return super().__call__(*args, **kwargs)


class Joined(_Changed):
    """A module some of whose additions are joined by connections."""

    skiplab_plan: Plan

    @torch.compiler.disable
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        joining = _Joining(self)
        with _paused(), joining:
            result = super().forward(*args, **kwargs)
        if joining.number != len(joining.plan.sums):
            raise joining.changed()
        return result


_FORWARD = inspect.unwrap(Joined.forward).__code__


class _JoinedSequential(Joined):
    """Of an nn.Sequential, which calls whatever it holds."""

    def __iter__(self):
        return (module for name, module in self._modules.items() if name != JOINS)

    def __len__(self) -> int:
        return len(self._modules) - 1


def change(module: nn.Module, mixin: type[_Changed]) -> None:
    """Let a module be called as a mixin says; its class keeps its name, and is a subclass of what it was."""
    if mixin is Joined and isinstance(module, nn.Sequential):
        mixin = _JoinedSequential
    module.__class__ = _changed_class(mixin, type(module))


def change_back(module: nn.Module) -> None:
    """As it was before `change`; nothing where it is."""
    if isinstance(module, _Changed):
        module.__class__ = type(module).__bases__[1]


@functools.cache
def _changed_class(mixin: type[_Changed], own: type[nn.Module]) -> type[nn.Module]:
    return type(own.__name__, (mixin, own), {"__module__": own.__module__, "__doc__": own.__doc__})


def _new(mixin: type[_Changed], own: type[nn.Module], *args: Any) -> nn.Module:
    """For copies and pickles, which can't find a class that was made at run time."""
    return copyreg.__newobj__(_changed_class(mixin, own), *args)
