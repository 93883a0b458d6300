"""Modules whose class is a subclass of their own, made at run time."""

import contextlib
import functools
from typing import Any, TypeVar, cast

from torch import nn

from skiplab.errors import SkiplabError

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class ChangedModule(nn.Module):
    """The base class of modules that are called in another way; see `change_class`."""

    def __init_subclass__(cls) -> None:
        """What the network does with subclasses of its own class, unless it refuses this one."""
        with contextlib.suppress(Exception):  # such as one that isn't named otherwise, or lacks an argument
            super().__init_subclass__()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """A new module that the network makes of this class, such as a slice, is of the network's own class."""
        self.__class__ = type(self).__bases__[1]
        type(self).__init__(self, *args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, (_, *others), *state = super().__reduce_ex__(protocol)
        return _new, (*type(self).__bases__, *others), *state

    def __prepare_scriptable__(self) -> None:
        raise SkiplabError(
            "torch.jit.script can't read a module whose shortcuts are replaced; call torch.jit.trace or torch.export"
        )


def change_class(module: nn.Module, mixin: type[ModuleT]) -> ModuleT:
    """The same module with another class: a subclass of the mixin and of its own class, whose name it keeps."""
    module.__class__ = changed_class(mixin, type(module))
    return cast(ModuleT, module)


@functools.cache
def changed_class(mixin: type[nn.Module], own: type[nn.Module]) -> type[nn.Module]:
    return subclass(mixin, own)


def subclass(mixin: type[nn.Module], own: type[nn.Module], **members: Any) -> type[nn.Module]:
    return type(own.__name__, (mixin, own), {"__module__": own.__module__, "__doc__": own.__doc__, **members})


def _new(mixin: type[ChangedModule], own: type[nn.Module], *args: Any) -> nn.Module:
    """A new instance for copies and pickles, which can't find a class that was created at run time."""
    changed = changed_class(mixin, own)
    return changed.__new__(changed, *args)
