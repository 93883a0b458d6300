"""Modules whose own additions are replaced by connections in a copy of their forward."""

import functools
import operator
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.overrides import _get_current_function_mode

from skiplab.errors import SkiplabError
from skiplab.surgery.changed_class import ChangedModule, subclass
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.join_plan import JoinPlan
from skiplab.surgery.joined_module import Joining, eager, paused
from skiplab.surgery.joined_sum import joined_sum
from skiplab.surgery.rewritten_forward import rewritten_forward
from skiplab.surgery.running_forward import running
from skiplab.surgery.torch_calls import CallSite, Sum, is_numeric


class RewrittenModule(ChangedModule):
    """A module with some of its additions replaced by connections, in a copy of its forward that calls them."""

    skiplab_plan: JoinPlan
    skiplab_forward: Callable[..., Any]  # of the class
    skiplab_numbers: tuple[tuple[CallSite, int], ...]  # of the class

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, (_, own, *others), *state = super().__reduce_ex__(protocol)
        return _new_rewritten, (own, self.skiplab_numbers, *others), *state

    @eager
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(_get_current_function_mode(), Joining):
            with paused():
                return self._run(*args, **kwargs)
        return self._run(*args, **kwargs)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        state = running
        before, parts = state.reached, state.parts
        state.reached, state.parts = 0, {}
        state.depth += 1
        try:
            result = type(self).skiplab_forward(self, *args, **kwargs)
            if state.reached != self.skiplab_plan.num_additions:
                raise self.skiplab_plan.changed()
            return result
        finally:
            state.depth -= 1
            state.reached, state.parts = before, parts


def _replaced_sum(module: RewrittenModule, number: int, left: Any, right: Any) -> Any:
    """What a rewritten forward calls in the place of left + right."""
    join = _reached(module, number)
    if join.is_network_sum and not join.is_watched:
        return left + right
    return _replaced(module, join, number, Sum(left, right, 1, None), operator.add)


def _replaced_sum_in_place(module: RewrittenModule, number: int, left: Any, right: Any) -> Any:
    """What a rewritten forward calls in the place of left += right."""
    join = _reached(module, number)
    if join.is_network_sum and not join.is_watched:
        left += right
        return left
    return _replaced(module, join, number, Sum(left, right, 1, left), operator.iadd)


def _reached(module: RewrittenModule, number: int) -> ForeignJoin:
    running.reached += 1
    return module.skiplab_plan.join_at(module, number)


def _replaced(
    module: RewrittenModule, join: ForeignJoin, number: int, found: Sum, add: Callable[[Any, Any], Tensor]
) -> Tensor:
    if not (is_numeric(found.left) and is_numeric(found.right)):
        raise module.skiplab_plan.changed()
    own = functools.partial(add, found.left, found.right)
    return joined_sum(join, module.skiplab_plan.shortcut_at[number], number, found, own, running.parts)


@functools.cache
def rewritten_class(own: type[nn.Module], numbers: tuple[tuple[CallSite, int], ...]) -> type[nn.Module] | None:
    """A subclass with a rewritten forward; None if the forward can't be rewritten."""
    forward = rewritten_forward(own.forward, dict(numbers), _replaced_sum, _replaced_sum_in_place)
    if forward is None:
        return None
    return subclass(RewrittenModule, own, skiplab_forward=forward, skiplab_numbers=numbers)


def _new_rewritten(own: type[nn.Module], numbers: tuple[tuple[CallSite, int], ...], *args: Any) -> nn.Module:
    changed = rewritten_class(own, numbers)
    if changed is None:
        raise SkiplabError(
            f"the code of {own.__name__} isn't that in which shortcuts were replaced; build the model, then find and "
            "replace its shortcuts again"
        )
    return changed.__new__(changed, *args)
