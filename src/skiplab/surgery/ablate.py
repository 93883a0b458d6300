"""A network's shortcuts replaced by connections, and put back."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from skiplab.blocks.connection import Connection
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.surgery.changed_class import change_class
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.join_plan import JOINS, JoinPlan
from skiplab.surgery.joined_module import JoinedModule, UnjoinedModule
from skiplab.surgery.joining import has_hooked_forward, joined, unjoined
from skiplab.surgery.rewritten_module import RewrittenModule
from skiplab.surgery.shortcut import Shortcut, Shortcuts
from skiplab.surgery.torch_calls import CallSite

_METHODS_OF_MEMORIES = ("open", "read", "write", "close")


def replace_shortcuts(model: nn.Module, make: Callable[[JoinSpec], Connection], where: Shortcuts) -> nn.Module:
    """The same model, in which a new connection replaces each of these additions.

    If a module adds stream and update in its own code, the sum is intercepted while the module runs, and
    `connection.join(stream, update)` is the result. State-dict keys stay the same. The parameters of connections are
    added under `skiplab_joins` of the module. If anything is refused, nothing is changed.

    Raises:
        SkiplabError: if there is nothing to replace, a shortcut can't be replaced, or the connection doesn't fit.
    """
    if where.model is not model:
        raise SkiplabError("these shortcuts were found in another model; find the shortcuts of this model")
    modules = dict(model.named_modules())
    if any(isinstance(module, JoinedModule | RewrittenModule) for module in modules.values()):
        raise SkiplabError("shortcuts of this model are already replaced; call skiplab.restore(model) first")
    where = where.replaceable()
    sites = {shortcut.path: _addition_sites(shortcut, where) for shortcut in where}
    for shortcut in where:
        _check_forward(modules[shortcut.path], shortcut)
    joins: dict[str, dict[int, ForeignJoin]] = {}
    for index, shortcut in enumerate(where):
        connection = make(_spec(where, index))
        _check_connection(connection)
        _check_not_distributed(connection, model)
        branch = [modules[path] for path in shortcut.branch]
        connection = connection.to(*_placement(modules[shortcut.path], model, shortcut))
        joins.setdefault(shortcut.path, {})[shortcut.call] = ForeignJoin(connection, index, branch)
    for path, own in joins.items():
        shortcuts = {each.call: each for each in where if each.path == path}
        module = joined(modules[path], JoinPlan(path, sites[path], shortcuts))
        module.add_module(JOINS, nn.ModuleDict({str(number): join for number, join in own.items()}))
        getattr(module, JOINS).train(module.training)
    watched = {path for path in joins if isinstance(modules[path], JoinedModule)}
    for called in {inner for path in watched for inner in where.called[path]} - joins.keys():
        change_class(modules[called], UnjoinedModule)
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoder) and module.use_nested_tensor:
            vars(module).update(use_nested_tensor=False, skiplab_used_nested_tensor=True)
    return model


def restore(model: nn.Module) -> nn.Module:
    """The same model with its own shortcuts; the parameters of the connections are lost."""
    for module in list(model.modules()):
        unjoined(module)
        if "skiplab_used_nested_tensor" in vars(module):
            module.use_nested_tensor = module.skiplab_used_nested_tensor
            del module.skiplab_used_nested_tensor
    return model


def _addition_sites(shortcut: Shortcut, where: Shortcuts) -> tuple[CallSite, ...]:
    sites = where.sums[shortcut.path]
    if sites is None:
        raise SkiplabError(
            f"{shortcut.path or 'the model'} adds different tensors in different calls, so {shortcut} can't be "
            "identified; leave this shortcut out"
        )
    return sites


def _placement(module: nn.Module, model: nn.Module, shortcut: Shortcut) -> tuple[torch.device, torch.dtype]:
    """Device and type of a module's parameters, or of the model's, so far as they are real numbers.

    Parameters that are loaded for a call alone are elsewhere meanwhile; then it is the device of the sum.
    """
    for parameter in (*module.parameters(), *model.parameters()):
        if parameter.is_floating_point():
            return shortcut.device if parameter.is_meta else parameter.device, parameter.dtype
    return shortcut.device, torch.get_default_dtype()


def _check_forward(module: nn.Module, shortcut: Shortcut) -> None:
    if "forward" in vars(module) and not has_hooked_forward(module):
        raise SkiplabError(
            f"the forward of {shortcut.path or 'the model'} was replaced on the instance, as some libraries do; "
            "replace the shortcuts before, or remove this forward first"
        )


def _spec(where: Shortcuts, index: int) -> JoinSpec:
    shortcut = where[index]
    earlier = sum(each.stage == shortcut.stage for each in where[:index])
    return JoinSpec(width=shortcut.width, index=index, num_joins=len(where), position=earlier, cond_width=0)


def _check_not_distributed(connection: Connection, model: nn.Module) -> None:
    """Gradients of parameters that come after the wrapper would never be averaged."""
    wrapped = any(isinstance(module, DistributedDataParallel) for module in model.modules())
    if wrapped and any(True for _ in connection.parameters()):
        raise SkiplabError(
            f"DistributedDataParallel doesn't average the gradients of parameters that come later, and "
            f"{type(connection).__name__} has some; find and replace the shortcuts of the model before wrapping it"
        )


def _check_connection(connection: Connection) -> None:
    own = [name for name in _METHODS_OF_MEMORIES if getattr(type(connection), name) is not getattr(Connection, name)]
    if own:
        raise SkiplabError(
            f"{type(connection).__name__} needs a memory of its own (it defines {', '.join(own)}), and a replaced "
            "addition has the stream alone; take a connection that only defines join, such as identity, plain, scaled "
            "or rezero"
        )
