"""A network's shortcuts replaced by connections, and put back."""

from collections.abc import Callable

from torch import nn

from skiplab.blocks.connection import Connection
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.joined import JOINS, Joined, Outside, Plan, change, change_back
from skiplab.surgery.shortcut import Shortcut, Shortcuts

_OF_RICHER_MEMORIES = ("open", "read", "write", "close")


def join_by(model: nn.Module, make: Callable[[JoinSpec], Connection], where: Shortcuts) -> nn.Module:
    """The same model, with an own connection in the place of each of these additions.

    Where a module adds stream and update in its own code, the sum is intercepted while the module runs, and
    `connection.join(stream, update)` is what comes out. State-dict keys stay as they were; connections' parameters
    come beside them, under `skiplab_joins` of the module. Nothing is changed where anything is refused.

    Raises:
        SkiplabError: where nothing is to be replaced, a shortcut can't be, or the connection doesn't fit.
    """
    if where.model is not model:
        raise SkiplabError("these shortcuts were found in another model; find them in this one")
    modules = dict(model.named_modules())
    if any(isinstance(module, Joined) for module in modules.values()):
        raise SkiplabError("shortcuts of this model are replaced already; skiplab.restore(model) puts them back")
    where = where.replaceable()
    for shortcut in where:
        _check_alike(shortcut, where)
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
        module = modules[path]
        joined = {each.call: each for each in where if each.path == path}
        change(module, Joined)
        module.skiplab_plan = Plan(path, where.sums[path], joined)
        module.add_module(JOINS, nn.ModuleDict({str(number): join for number, join in own.items()}))
        getattr(module, JOINS).train(module.training)
    for called in {inner for path in joins for inner in where.called[path]} - joins.keys():
        change(modules[called], Outside)
    return model


def restore(model: nn.Module) -> nn.Module:
    """The same model with its shortcuts as they were; the connections' parameters are gone."""
    for module in list(model.modules()):
        if isinstance(module, Joined):
            del module.skiplab_plan
            delattr(module, JOINS)
        change_back(module)
    return model


def _check_alike(shortcut: Shortcut, where: Shortcuts) -> None:
    if where.sums[shortcut.path] is None:
        raise SkiplabError(
            f"{shortcut.path or 'the model'} adds other tensors in each call, so that {shortcut} can't be told from "
            "others: what it does depends on its inputs; leave it out"
        )


def _check_forward(module: nn.Module, shortcut: Shortcut) -> None:
    if "forward" in vars(module):
        raise SkiplabError(
            f"{shortcut.path or 'the model'} has a forward of its own beside its class's, as hooks of some libraries "
            "do; take it off first"
        )


def _spec(where: Shortcuts, index: int) -> JoinSpec:
    shortcut = where[index]
    earlier = sum(each.stage == shortcut.stage for each in where[:index])
    return JoinSpec(width=shortcut.width, index=index, num_joins=len(where), position=earlier, cond_width=0)


def _check_connection(connection: Connection) -> None:
    own = [name for name in _OF_RICHER_MEMORIES if getattr(type(connection), name) is not getattr(Connection, name)]
    if own:
        raise SkiplabError(
            f"{type(connection).__name__} keeps more than the stream (it has {', '.join(own)} of its own), and in the "
            "place of an addition there is one stream; take a connection that defines join alone, such as identity, "
            "plain, scaled or rezero"
        )
