"""Modules whose own additions a function mode replaces by connections while they run."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from skiplab.errors import SkiplabError
from skiplab.surgery.changed_class import ChangedModule
from skiplab.surgery.join_plan import JoinPlan
from skiplab.surgery.joined_sum import PartsOfSums, joined_sum
from skiplab.surgery.running_forward import running_forward
from skiplab.surgery.torch_calls import OPERATIONS, CallSite, as_sum, caller, checkpointed, innermost

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Joining(TorchFunctionMode):
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
                    join = self.plan.join_at(self.module, number)
                    return joined_sum(join, shortcut, number, found, own, self.parts)
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


class paused:  # noqa: N801 - a context manager, as a class because it is entered often
    """Pauses the innermost mode if it replaces the additions of a module around this one."""

    def __enter__(self) -> None:
        mode = _get_current_function_mode()
        self.mode = mode if isinstance(mode, Joining) else None
        if self.mode is not None:
            self.mode.__exit__(None, None, None)

    def __exit__(self, *_: object) -> None:
        if self.mode is not None:
            self.mode.__enter__()


class UnjoinedModule(ChangedModule):
    """A module that is called by a joined module: its own additions aren't replaced."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with paused():
            return super().__call__(*args, **kwargs)


def eager(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function, which torch.compile leaves out."""
    return cast(Callable[Parameters, Result], torch.compiler.disable(function))


class JoinedModule(ChangedModule):
    """A module with some of its additions replaced by connections; a function mode finds them."""

    skiplab_plan: JoinPlan

    @eager
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        joining = Joining(self)
        with running_forward(), paused(), joining:
            result = super().forward(*args, **kwargs)
        joining.check_end()
        return result


_FORWARD = inspect.unwrap(JoinedModule.forward).__code__
