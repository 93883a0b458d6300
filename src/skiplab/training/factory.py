"""Makes an option from its node in the configuration, after its settings are checked against the constructor."""

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar, get_type_hints

from omegaconf import DictConfig

from skiplab.configuration.suggestions import unknown_setting
from skiplab.errors import SkiplabError
from skiplab.kinds import as_given, is_of, refusal
from skiplab.records.plain_config import plain
from skiplab.targets import find_target, obeyed_keys

T = TypeVar("T")
# What constructors raise for a value of the right type that they can't use.
_REFUSALS = (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError, MemoryError, AssertionError, OSError)


def factory(node: DictConfig, base: type[T]) -> Callable[..., T]:
    """The option that a node describes, with its settings; call it with its runtime arguments.

    Args:
        node: the option's node, of which `_target_` is the import path.
        base: the class that the option must make, such as `Connection`.

    Raises:
        SkiplabError: at once if the option can't be imported or makes something else, or if a setting is unknown,
            missing or of the wrong type; when it is called if the constructor refuses its arguments.
    """
    target, settings, name = option(node, base), _settings(node), _name(node)
    if key := next(obeyed_keys(settings, name), None):
        raise SkiplabError(f"{key} is not allowed in a setting; valid: numbers, text, lists and mappings")
    _check(target, settings, name)
    values = [f"{name}.{setting}={as_given(value)}" for setting, value in settings.items()]
    refused = f"{target.__name__} refuses {', '.join(values) or 'its arguments'}"
    return partial(_call, partial(target, **settings), refused)


def option(node: DictConfig, base: type) -> Any:
    """The class or function that a node names.

    Raises:
        SkiplabError: if it can't be imported, or doesn't make an instance of the base class.
    """
    return find_target(f"{_name(node)}._target_", node._target_, base)


def check_settings(target: Callable[..., Any], node: DictConfig) -> None:
    """Check a node's settings against the keyword arguments of a class or function.

    Raises:
        SkiplabError: names the setting, its value and what is valid.
    """
    _check(target, _settings(node), _name(node))


def _check(target: Callable[..., Any], settings: Mapping[str, Any], node: str) -> None:
    parameters = _parameters(target)
    named = [each for each in parameters if each.kind == each.KEYWORD_ONLY or each.default is not each.empty]
    is_open = any(each.kind == each.VAR_KEYWORD for each in parameters)
    types = _type_hints(target)
    for name, value in settings.items():
        if not is_open and name not in {each.name for each in parameters}:
            raise SkiplabError(unknown_setting(f"{node}.{name}", [f"{node}.{each.name}" for each in named]))
        if name in types and not is_of(value, types[name]):
            raise SkiplabError(refusal(f"{node}.{name}", value, types[name]))
    for each in named:
        if each.default is each.empty and each.name not in settings:
            raise SkiplabError(f"{node}.{each.name} is missing; add {node}.{each.name}=...")


def _name(node: DictConfig) -> str:
    """The node's full name in the configuration, such as `connection` or `evaluator.frechet_distance`."""
    return node._get_full_key(None)


@cache  # torch describes its own functions in text, which is parsed each time
def _parameters(target: Callable[..., Any]) -> Collection[inspect.Parameter]:
    return inspect.signature(target).parameters.values()


@cache
def _type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):  # names that a library imports only for type checkers
        return {}


def _settings(node: DictConfig) -> dict[str, Any]:
    return {name: value for name, value in plain(node).items() if name not in ("_target_", "_partial_", "_convert_")}


def _call(make: Callable[..., T], refused: str, *arguments: Any, **named: Any) -> T:
    try:
        return make(*arguments, **named)
    except _REFUSALS as error:
        frame = extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}, line {frame.lineno}"
        reason = " ".join(str(error).split())
        raise SkiplabError(f"{refused}: {reason} ({where})") from error
