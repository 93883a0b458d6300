"""What an import path names: a class or a function of the kind that is asked for, looked at before it is called."""

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType, NoneType, UnionType
from typing import Any

from skiplab.errors import SkiplabError

_OBEYED = re.compile(r"_[a-z]+_")  # _target_, _args_, _partial_ and what else Hydra obeys


def locate(path: str) -> Any:
    """What an import path names, such as `torch.nn.ReLU`; modules are imported as needed.

    Raises:
        ImportError: there is no such thing.
        Exception: whatever importing a module raises.
    """
    first, *others = path.split(".")
    found, imported = import_module(first), first
    for name in others:
        imported = f"{imported}.{name}"
        try:
            found = getattr(found, name)
        except AttributeError as error:
            if not isinstance(found, ModuleType):
                raise ImportError(str(error)) from error
            found = import_module(imported)
    return found


def find_target(setting: str, path: Any, kind: type, *, unannotated: bool = False) -> Any:
    """The class of this kind, or the function that says it returns one.

    Args:
        setting: where the path stands, for messages.
        path: such as `torch.nn.ReLU`.
        kind: what it must make.
        unannotated: whether a function may leave out what it returns, as those of others do.

    Raises:
        SkiplabError: where it can't be imported, or is something else.
    """
    try:
        found = locate(path)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SkiplabError(
            f"{setting}={path} can't be imported: {reason}; if it is in a file of yours, add the folder of that file, "
            "PYTHONPATH=FOLDER skiplab ..."
        ) from error
    if not _makes(found, kind, unannotated):
        known = "" if unannotated else f" with the annotation `-> {kind.__name__}`"
        raise SkiplabError(
            f"{setting}={path} is no {kind.__name__}; valid: a class of {kind.__module__}.{kind.__qualname__}, or a "
            f"function{known} that makes one"
        )
    return found


def _makes(found: Any, kind: type, unannotated: bool) -> bool:
    if inspect.isclass(found):
        return issubclass(found, kind)
    if not (inspect.isfunction(found) or inspect.ismethod(found)):
        return False
    returned = found.__annotations__.get("return", inspect.Signature.empty)
    if isinstance(returned, UnionType):  # of what it makes, or None where there is to be none
        returned = next((each for each in returned.__args__ if each is not NoneType), None)
    if inspect.isclass(returned) and returned is not inspect.Signature.empty:
        return issubclass(returned, kind)
    of_python = str(found.__module__).partition(".")[0] in sys.stdlib_module_names  # which makes nothing of the kind
    return unannotated and returned is not None and not of_python


def obeyed_keys(settings: Any, name: str) -> Iterator[str]:
    """The full names of the keys in a setting that Hydra would obey, `NAME.x._target_`."""
    if isinstance(settings, dict):
        for key, child in settings.items():
            if _OBEYED.fullmatch(str(key)):
                yield f"{name}.{key}"
            yield from obeyed_keys(child, f"{name}.{key}")
    elif isinstance(settings, list):
        for child in settings:
            yield from obeyed_keys(child, name)
