"""The joins of a network whose shortcuts were replaced, in a file beside its weights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from skiplab.blocks.connection import Connection
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.surgery.ablate import replace_shortcuts, restore
from skiplab.surgery.find_shortcuts import find_shortcuts
from skiplab.surgery.foreign_join import ForeignJoin, joins_of
from skiplab.surgery.join_plan import JOINS
from skiplab.surgery.joined_module import JoinedModule
from skiplab.surgery.rewritten_module import RewrittenModule
from skiplab.surgery.shortcut import Shortcut, Shortcuts
from skiplab.targets import find_target

FILE = "skiplab_joins.safetensors"
_OWN = "skiplab.blocks.connections."


def save_joins(model: nn.Module, folder: str | Path) -> Path:
    """Write what replaced a model's shortcuts, with its parameters, into skiplab_joins.safetensors in a folder.

    The weights of the model are saved as usual, such as by `model.save_pretrained(folder)`; `load_joins` brings the
    joins back into a model that was loaded from there.

    Args:
        model: a model whose shortcuts were replaced by `skiplab.ablate`.
        folder: where its weights are; it is made if there is none.

    Returns:
        The path of the file.

    Raises:
        SkiplabError: if no shortcut is replaced, or a connection was made by a function of one's own, which a file
            can't hold.
    """
    found = list(_joins(model))
    if not found:
        raise SkiplabError("no shortcut of this model is replaced; call skiplab.ablate(model, ...) first")
    recipe = found[0][2].recipe
    if recipe is None:
        raise SkiplabError(
            f"how {type(found[0][2].connection).__name__} was made is known to a function alone, which a file can't "
            "hold; give skiplab.ablate an option, a class, or a functools.partial of one"
        )
    content = {**recipe, "joins": [_named(shortcut, path) for path, shortcut, _ in found]}
    tensors = {
        f"{number}.{name}": tensor.detach().cpu().contiguous()
        for number, (_, _, join) in enumerate(found)
        for name, tensor in join.state_dict().items()
    }
    path = Path(folder) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save(tensors, metadata={"skiplab": json.dumps(content)}))
    return path


def load_joins(model: nn.Module, folder: str | Path, example_inputs: Any, *, trust: bool = False) -> nn.Module:
    """Replace a model's shortcuts as those of the model that `save_joins` wrote were, with the same parameters.

    Args:
        model: the same network, untouched, such as `AutoModel.from_pretrained(folder)`.
        folder: where `save_joins` wrote.
        example_inputs: arguments of its forward, with which its shortcuts are found; see `skiplab.find_shortcuts`.
        trust: whether a connection that isn't an option of skiplab may be imported and run.

    Raises:
        SkiplabError: if the file can't be read, or the model has other shortcuts; the model is unchanged then.
    """
    path = Path(folder) / FILE
    try:
        with safe_open(path, framework="pt") as file:
            content = json.loads(file.metadata()["skiplab"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        target, settings = content["target"], content["settings"]
        joins = [(each["path"], each["call"], each["kind"], each["width"]) for each in content["joins"]]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SkiplabError(f"{path} can't be read: {reason}; give the folder that save_joins wrote to") from error
    if not str(target).startswith(_OWN) and not trust:
        raise SkiplabError(
            f"{path} needs {target}, which is no option of skiplab; give trust=True if you trust the file"
        )
    option = find_target("the connection", target, Connection)

    def make(spec: JoinSpec) -> Connection:
        try:
            return option(spec, **settings)
        except (TypeError, ValueError) as error:
            raise SkiplabError(f"{path} holds other settings than {target} has: {error}") from error

    replace_shortcuts(model, make, _same(find_shortcuts(model, example_inputs), joins, path))
    try:
        for number, join in enumerate(joins_of(model)):
            own = {name: tensors[f"{number}.{name}"] for name in join.state_dict()}
            join.load_state_dict(own)
            join.recipe = {"target": target, "settings": settings}
    except (RuntimeError, KeyError) as error:
        restore(model)
        raise SkiplabError(f"{path} holds other parameters than {target} has: {str(error).splitlines()[0]}") from error
    return model


def _joins(model: nn.Module) -> Iterator[tuple[str, Shortcut, ForeignJoin]]:
    """The joins in their order, with the path of the module that adds there."""
    found = [
        (path, module.skiplab_plan.joined[int(call)], join)
        for path, module in model.named_modules()
        if isinstance(module, JoinedModule | RewrittenModule)
        for call, join in getattr(module, JOINS).items()
    ]
    return iter(sorted(found, key=lambda each: each[2].block_index))


def _named(shortcut: Shortcut, path: str) -> dict[str, Any]:
    return {"path": path, "call": shortcut.call, "kind": shortcut.kind, "width": shortcut.width}


def _same(found: Shortcuts, joins: list[tuple[Any, ...]], path: Path) -> Shortcuts:
    """The shortcuts that the file names, in this model."""
    present = {(each.path, each.call, each.kind, each.width) for each in found}
    if missing := [each for each in joins if each not in present]:
        where, call, kind, width = missing[0]
        raise SkiplabError(
            f"{path} replaces the {kind} {call} of {where or 'the model'} with {width} channels, and this model has no "
            f"such shortcut; load the joins into the network that they were saved from:\n{found}"
        )
    chosen = set(joins)
    kinds = list(dict.fromkeys(kind for _, _, kind, _ in joins))
    return found.where(kind=kinds, matching=lambda each: (each.path, each.call, each.kind, each.width) in chosen)
