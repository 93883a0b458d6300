"""Replace a model's shortcuts by a connection that is named as on the command line."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from skiplab.blocks.connection import Connection
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.surgery.ablate import replace_shortcuts
from skiplab.surgery.foreign_join import Recipe, joins_of
from skiplab.surgery.shortcut import Shortcuts


def ablate(model: nn.Module, connection: str | Callable[[JoinSpec], Connection], where: Shortcuts) -> nn.Module:
    """The same model, in which a new connection replaces each of these shortcuts, x + f(x) -> join(x, f(x)).

    The source files aren't edited: a copy of a module's forward calls the connection in the place of the addition, or a
    function mode intercepts it while the module runs. State-dict keys stay the same. The connections' parameters are
    added under `skiplab_joins` of each module, so create the optimizer after this call. `skiplab.restore` undoes the
    replacement.

    The model can be copied, pickled, run in several threads and under autocast, and checkpointed module by module.
    Under `torch.compile`, the modules whose shortcuts are replaced run eagerly. A forward pass raises a SkiplabError if
    it adds other tensors than when the shortcuts were found, or if a stream has another width.

    Args:
        model: the model in which the shortcuts were found.
        connection: an option of the axis `connection`, such as 'plain' or 'rezero', or a function that builds a
            connection from a JoinSpec, such as `functools.partial(Scaled, stream_factor=1, update_factor=0.5)`. Its
            memory must be the stream.
        where: the result of `skiplab.find_shortcuts(model, example_inputs)`, or a selection of it by its method
            `where(path=..., kind=..., stage=...)`, or a slice. Conditioning, concatenations, and uncertain additions
            that weren't chosen by this kind are left as they are.

    Raises:
        SkiplabError: if a shortcut can't be replaced, or the connection doesn't fit; the model is unchanged then.
    """
    made = _option(connection) if isinstance(connection, str) else _Made(connection, _recipe_of(connection))
    replace_shortcuts(model, made.make, where)
    for join in joins_of(model):
        join.recipe = made.recipe
    return model


class _Made(NamedTuple):
    """What makes a connection, and how it can be made again elsewhere, if that is known."""

    make: Callable[[JoinSpec], Connection]
    recipe: Recipe | None


def _recipe_of(make: Callable[[JoinSpec], Connection]) -> Recipe | None:
    """Of a connection's class, or of a functools.partial of one; a function of someone's own has none."""
    target, settings = make, {}
    if isinstance(make, functools.partial) and not make.args:
        target, settings = make.func, dict(make.keywords)
    if not isinstance(target, type) or "<" in target.__qualname__:
        return None
    return {"target": f"{target.__module__}.{target.__qualname__}", "settings": settings}


@functools.cache
def _option(option: str) -> _Made:
    """A connection that is given by its option.

    Raises:
        SkiplabError: if there is no such option.
    """
    from hydra import compose, initialize_config_dir

    from skiplab.analysis.text import unknown_name
    from skiplab.configuration.isolated_hydra import isolated_hydra
    from skiplab.paths import project_dir
    from skiplab.records.plain_config import plain
    from skiplab.training.factory import factory

    options = sorted(path.stem for path in (project_dir("conf") / "connection").glob("*.yaml"))
    if option not in options:
        raise SkiplabError(unknown_name("connection", option, options))
    with isolated_hydra(), initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        node = compose(f"connection/{option}").connection
    settings = dict(plain(node))
    return _Made(factory(node, Connection), {"target": settings.pop("_target_"), "settings": settings})
