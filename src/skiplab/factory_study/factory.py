"""A user's function or class that builds networks: how other processes import it, and which arguments it takes."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from skiplab.configuration.override_text import plain
from skiplab.errors import SkiplabError


@dataclass(frozen=True, kw_only=True)
class ModelFactory:
    """What builds the networks of a study, or its LightningModules, or their data.

    name: its own name.
    import_path: the path by which any process can import it.
    parameters: those of its signature, by name.
    bound: the values that a functools.partial binds, by the name of the parameter.
    version: a hash of the file that defines it, or null; trials of an edited network are other trials.
    """

    name: str
    import_path: str
    parameters: Mapping[str, inspect.Parameter]
    bound: Mapping[str, Any]
    version: str

    @classmethod
    def of(cls, given: Callable[..., Any], argument: str = "model_factory") -> "ModelFactory":
        """Inspect a function, a class, or a functools.partial of one.

        Args:
            given: the function or class.
            argument: the argument of `study` that it is, for messages.

        Raises:
            SkiplabError: it can't be imported by other processes, or its parameters are unknown.
        """
        factory, bound = _without_partial(given)
        path, parameters = _import_path(factory, argument), _parameters(factory)
        values = {name: plain(name, value) for name, value in bound.items()}
        return cls(
            name=factory.__name__, import_path=path, parameters=parameters, bound=values, version=_version(factory)
        )

    def check_required(self, given: set[str]) -> None:
        """Refuse a study that leaves out an argument without a default.

        Args:
            given: the names of all factors and settings.

        Raises:
            SkiplabError: names the arguments.
        """
        named = {name.lstrip("~+").removeprefix("backbone.arguments.") for name in given}
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        missing = [
            parameter.name
            for parameter in self.parameters.values()
            if parameter.default is parameter.empty and parameter.kind not in variable and parameter.name not in named
        ]
        if missing and "backbone.arguments" not in named:
            raise SkiplabError(
                f"{self.import_path} needs {', '.join(missing)}; give each in factors, or in settings if all trials "
                f"share it, {{'{missing[0]}': ...}}"
            )


def _without_partial(factory: Any) -> tuple[Any, dict[str, Any]]:
    """The function inside a functools.partial, and the arguments that it binds, by name."""
    if not isinstance(factory, partial):
        return factory, {}
    try:
        bound = inspect.signature(factory.func).bind_partial(*factory.args, **factory.keywords)
    except (TypeError, ValueError) as error:
        raise SkiplabError(
            f"the arguments of {factory!r:.200} don't fit its function: {error}; give arguments that it takes"
        ) from None
    return factory.func, dict(bound.arguments)


def _import_path(factory: Any, argument: str) -> str:
    """The path by which other processes import it, which they must to load the trained network again."""
    if isinstance(factory, nn.Module) or not callable(factory):
        kind = "network" if isinstance(factory, nn.Module) else "value"
        raise SkiplabError(
            f"{argument} is a {kind}, a {type(factory).__name__}; give a class or a function that builds a new one for "
            "each trial"
        )
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    if module in ("__main__", "__mp_main__"):
        raise SkiplabError(
            f"{name} is defined in a script or a notebook, from which no other process can import it; move it to a "
            f"file such as networks.py (in a notebook, by a cell that begins with `%%writefile networks.py`), and "
            f"`from networks import {name}`"
        )
    found: Any = sys.modules.get(module or "")
    for part in (name or "").split(".") if getattr(found, "__spec__", None) else ():
        found = getattr(found, part, None)
    if found != factory:
        raise SkiplabError(
            f"the factory {name or repr(factory)} can't be imported as {module}.{name}; define it with `def` or "
            "`class` at the top level of a module"
        )
    return f"{module}.{name}"


def _parameters(factory: Callable[..., nn.Module]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError) as error:
        raise SkiplabError(f"{factory!r} has no readable signature: {error}; wrap it in a function") from None


def _version(factory: Callable[..., nn.Module]) -> str:
    module = inspect.getmodule(factory)
    try:
        source = inspect.getsource(module) if module else ""
    except (OSError, TypeError):
        source = ""
    return f"v{hashlib.sha256(source.encode()).hexdigest()[:12]}" if source else "null"
