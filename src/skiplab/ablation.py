"""A model's shortcuts replaced by a connection that is named as on the command line."""

from collections.abc import Callable

from torch import nn

from skiplab.blocks.connection import Connection
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.surgery.ablate import join_by
from skiplab.surgery.shortcut import Shortcuts


def ablate(model: nn.Module, connection: str | Callable[[JoinSpec], Connection], where: Shortcuts) -> nn.Module:
    """The same model with a connection of its own in the place of each of these shortcuts, x + f(x) -> join(x, f(x)).

    Its source isn't edited: while a module runs, the additions in its code that are among them are intercepted. Its
    state-dict keys stay, and connections' parameters come beside them, under `skiplab_joins` of each module; give an
    optimizer the parameters afterwards. `skiplab.restore` puts the shortcuts back.

    A module may be copied, pickled, run in several threads, under autocast, and checkpointed as a whole; under
    `torch.compile` the modules whose shortcuts are replaced run eagerly. A forward that adds other tensors than when
    its shortcuts were found is refused when it does, and so is a stream of another width.

    Args:
        model: whose shortcuts were found.
        connection: an option of the axis `connection`, such as 'plain' or 'rezero', or what makes one for its place,
            such as `functools.partial(Scaled, stream_factor=1, update_factor=0.5)`; its memory is the stream.
        where: what `skiplab.find_shortcuts(model, example_inputs)` found, or what its `where(path=..., kind=...,
            stage=...)` leaves of it; its conditioning and its concatenations are left as they are.

    Raises:
        SkiplabError: where one of them can't be replaced, or the connection doesn't fit; nothing is changed then.
    """
    return join_by(model, _maker(connection) if isinstance(connection, str) else connection, where)


def _maker(option: str) -> Callable[[JoinSpec], Connection]:
    """What makes the connections of an option of the axis.

    Raises:
        SkiplabError: where there is no such option.
    """
    from hydra import compose, initialize_config_dir

    from skiplab.analysis.text import unknown_name
    from skiplab.own_hydra import own_hydra
    from skiplab.paths import project_dir
    from skiplab.training.factory import factory

    options = sorted(path.stem for path in (project_dir("conf") / "connection").glob("*.yaml"))
    if option not in options:
        raise SkiplabError(unknown_name("connection", option, options))
    with own_hydra(), initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        return factory(compose("train", overrides=[f"connection={option}"]).connection)
