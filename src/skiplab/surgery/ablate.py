"""A network's shortcuts replaced by connections, and put back."""

from collections.abc import Callable

from torch import nn

from skiplab.blocks.connection import Connection
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.joined_module import JOINS, JoinedModule, JoinPlan, UnjoinedModule, change_class, restore_class
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
    if any(isinstance(module, JoinedModule) for module in modules.values()):
        raise SkiplabError("shortcuts of this model are already replaced; call skiplab.restore(model) first")
    where = where.replaceable()
    sites = {shortcut.path: _addition_sites(shortcut, where) for shortcut in where}
    for shortcut in where:
        _check_forward(modules[shortcut.path], shortcut)
    joins: dict[str, dict[int, ForeignJoin]] = {}
    for index, shortcut in enumerate(where):
        connection = make(_spec(where, index))
        _check_connection(connection)
        branch = [modules[path] for path in shortcut.branch]
        like = next(modules[shortcut.path].parameters(), next(model.parameters(), None))
        if like is not None:
            connection = connection.to(like.device, like.dtype)
        joins.setdefault(shortcut.path, {})[shortcut.call] = ForeignJoin(connection, index, branch)
    for path, own in joins.items():
        module = change_class(modules[path], JoinedModule)
        shortcuts = {each.call: each for each in where if each.path == path}
        module.skiplab_plan = JoinPlan(path, sites[path], shortcuts)
        module.add_module(JOINS, nn.ModuleDict({str(number): join for number, join in own.items()}))
        getattr(module, JOINS).train(module.training)
    for called in {inner for path in joins for inner in where.called[path]} - joins.keys():
        change_class(modules[called], UnjoinedModule)
    return model


def restore(model: nn.Module) -> nn.Module:
    """The same model with its own shortcuts; the parameters of the connections are lost."""
    for module in list(model.modules()):
        if isinstance(module, JoinedModule):
            del module.skiplab_plan
            delattr(module, JOINS)
        restore_class(module)
    return model


def _addition_sites(shortcut: Shortcut, where: Shortcuts) -> tuple[CallSite, ...]:
    sites = where.sums[shortcut.path]
    if sites is None:
        raise SkiplabError(
            f"{shortcut.path or 'the model'} adds different tensors in different calls, so {shortcut} can't be "
            "identified; leave this shortcut out"
        )
    return sites


def _check_forward(module: nn.Module, shortcut: Shortcut) -> None:
    if "forward" in vars(module):
        raise SkiplabError(
            f"the forward of {shortcut.path or 'the model'} was replaced on the instance, as hooks of some libraries "
            "do; remove this forward first"
        )


def _spec(where: Shortcuts, index: int) -> JoinSpec:
    shortcut = where[index]
    earlier = sum(each.stage == shortcut.stage for each in where[:index])
    return JoinSpec(width=shortcut.width, index=index, num_joins=len(where), position=earlier, cond_width=0)


def _check_connection(connection: Connection) -> None:
    own = [name for name in _METHODS_OF_MEMORIES if getattr(type(connection), name) is not getattr(Connection, name)]
    if own:
        raise SkiplabError(
            f"{type(connection).__name__} needs a memory of its own (it defines {', '.join(own)}), and a replaced "
            "addition has the stream alone; take a connection that only defines join, such as identity, plain, scaled "
            "or rezero"
        )
