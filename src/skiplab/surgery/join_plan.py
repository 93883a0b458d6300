"""Which additions of a module are replaced."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from torch import nn

from skiplab.errors import SkiplabError
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.shortcut import Shortcut
from skiplab.surgery.torch_calls import CallSite

JOINS = "skiplab_joins"  # the submodule of a joined module that holds its joins


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

    def join_at(self, module: nn.Module, number: int) -> ForeignJoin:
        """The join of a module to which an addition belongs."""
        joins = module._modules[JOINS]._modules  # pyright: ignore[reportOptionalMemberAccess]
        return cast(ForeignJoin, joins[self.key_at[number]])

    @functools.cached_property
    def key_at(self) -> Mapping[int, str]:
        """The key of the join to which each addition belongs."""
        return {number: str(each.call) for number, each in self.shortcut_at.items()}

    def changed(self) -> SkiplabError:
        return SkiplabError(
            f"{self.path or 'the model'} adds other tensors in this call than when its shortcuts were found, so "
            f"its code depends on its inputs or on training mode; leave out {', '.join(map(str, self.joined.values()))}"
        )
