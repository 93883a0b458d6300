"""A list of modules of one type."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from torch import nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class ModuleSequence(nn.ModuleList, Generic[ModuleT]):
    """An nn.ModuleList that knows the type of its modules; it behaves as one, with the same state-dict keys."""

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[ModuleT]: ...

        @overload
        def __getitem__(self, idx: slice) -> "ModuleSequence[ModuleT]": ...
        @overload
        def __getitem__(self, idx: int) -> ModuleT: ...
        def __getitem__(self, idx: int | slice) -> "ModuleT | ModuleSequence[ModuleT]": ...
