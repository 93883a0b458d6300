"""Modules whose own additions are replaced by connections, in one of two ways, and put back."""

import types
from typing import Any, cast

from torch import nn

from skiplab.surgery.changed_class import ChangedModule, change_class
from skiplab.surgery.join_plan import JOINS, JoinPlan
from skiplab.surgery.joined_module import JoinedModule
from skiplab.surgery.rewritten_module import RewrittenModule, rewritten_class
from skiplab.surgery.running_forward import ModulesWithJoins

_HOOKED_FORWARD = "_old_forward"


def joined(module: nn.Module, plan: JoinPlan) -> JoinedModule | RewrittenModule:
    """The same module, whose additions in a plan are replaced; its joins are still to be added under `JOINS`."""
    rewritten = None
    if plan.number_at is not None and not isinstance(module, nn.TransformerEncoderLayer):  # which has a fused way
        rewritten = rewritten_class(type(module), tuple(sorted(plan.number_at.items())))
    if rewritten is not None:
        module.__class__ = cast(Any, rewritten)
    else:
        change_class(module, JoinedModule)
    changed = cast(JoinedModule | RewrittenModule, module)
    changed.skiplab_plan = plan
    object.__setattr__(changed, "_modules", ModulesWithJoins(module._modules))
    _bind_hooked_forward(module)
    return changed


def unjoined(module: nn.Module) -> None:
    """Undo `joined`; the joins are lost. Does nothing to a module that isn't joined."""
    if isinstance(module, JoinedModule | RewrittenModule):
        del module.skiplab_plan
        object.__setattr__(module, "_modules", {n: each for n, each in module._modules.items() if n != JOINS})
    if isinstance(module, ChangedModule):
        module.__class__ = type(module).__bases__[1]
        _bind_hooked_forward(module)


def has_hooked_forward(module: nn.Module) -> bool:
    """Whether hooks of Accelerate, as `device_map` sets them, run around the forward, which they keep beside it."""
    return isinstance(vars(module).get(_HOOKED_FORWARD), types.MethodType)


def _bind_hooked_forward(module: nn.Module) -> None:
    """Let these hooks call the forward of the module's present class."""
    if has_hooked_forward(module):
        setattr(module, _HOOKED_FORWARD, types.MethodType(type(module).forward, module))
