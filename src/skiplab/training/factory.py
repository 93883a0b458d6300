"""An option made of its node in the configuration: each setting is checked against the constructor's annotations."""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from skiplab.configuration.suggestions import unknown_setting
from skiplab.errors import SkiplabError
from skiplab.kinds import as_given, is_of, refusal
from skiplab.targets import find_target, obeyed_keys
from skiplab.training.kinds import KINDS

# What a constructor raises on a value of the right kind that it can't work with.
_REFUSALS = (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError, MemoryError, AssertionError)


def factory(node: DictConfig) -> Callable[..., Any]:
    """What an option's YAML describes, still to be called with its runtime arguments.

    Raises:
        SkiplabError: now, where the option can't be imported or a setting is unknown, missing or of the wrong kind;
            when called, where the constructor refuses them.
    """
    target, settings = option(node), _settings(node)
    if asked := next(obeyed_keys(settings, _name(node)), None):
        raise SkiplabError(f"{asked} is in a setting, of which nothing is made; valid: numbers, texts, lists, mappings")
    check_settings(target, node)
    given = [f"{_name(node)}.{name}={as_given(value)}" for name, value in settings.items()]
    refused = f"{target.__name__} refuses {', '.join(given) or 'its arguments'}"
    return partial(_make, partial(target, **settings), refused)


def option(node: DictConfig) -> Any:
    """The class or function that an option's node names.

    Raises:
        SkiplabError: where it can't be imported, or isn't of the kind that its axis asks for.
    """
    name = _name(node)
    return find_target(f"{name}._target_", node._target_, KINDS[name.split(".")[0]])


def _name(node: DictConfig) -> str:
    """Where it stands in the configuration, `connection` or `evaluator.frechet_distance`."""
    return node._get_full_key(None)


def check_settings(target: Callable[..., Any], node: DictConfig) -> None:
    """Compare a node's settings with the keyword arguments of what is made of it.

    Raises:
        SkiplabError: names the setting, its value and what is valid.
    """
    parameters = inspect.signature(target).parameters.values()
    named = [each for each in parameters if each.kind == each.KEYWORD_ONLY or each.default is not each.empty]
    is_open = any(each.kind == each.VAR_KEYWORD for each in parameters)
    settings, kinds, full = _settings(node), _kinds(target), node._get_full_key
    for name, value in settings.items():
        if not is_open and name not in {each.name for each in parameters}:
            raise SkiplabError(unknown_setting(full(name), [full(each.name) for each in named]))
        if name in kinds and not is_of(value, kinds[name]):
            raise SkiplabError(refusal(full(name), value, kinds[name]))
    for each in named:
        if each.default is each.empty and each.name not in settings:
            raise SkiplabError(f"{full(each.name)} is missing; give it, {full(each.name)}=...")


def _kinds(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):  # what a library imports for type checkers alone
        return {}


def _settings(node: DictConfig) -> dict[str, Any]:
    resolved = OmegaConf.to_container(node, resolve=True)
    return {name: value for name, value in resolved.items() if name not in ("_target_", "_partial_", "_convert_")}


def _make(made: Callable[..., Any], refused: str, *arguments: Any, **named: Any) -> Any:
    try:
        return made(*arguments, **named)
    except _REFUSALS as error:
        frame = extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}, line {frame.lineno}"
        reason = " ".join(str(error).split())
        raise SkiplabError(f"{refused}: {reason} ({where})") from error
