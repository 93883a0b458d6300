"""A small study of a network of one's own, from Python."""

import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from skiplab.analysis.study.study import Study, read_study
from skiplab.cli.train import train
from skiplab.configuration.override_text import override_text, plain
from skiplab.errors import SkiplabError
from skiplab.paths import project_dir

_NAME = re.compile(r"[~+]*[A-Za-z_][\w./@:-]*", re.ASCII)
_SIZES = ("depth", "width")  # a trial's, which the factory is given where it has parameters of these names
# What names of factors and settings would contradict, and where it is given instead.
_ARGUMENTS = {
    "seed": "seeds",
    "data": "data",
    "backbone": "model_factory",
    "backbone.target": "model_factory",
    "run.study": "name",
    "run.runs_dir": "runs_dir",
}


def study(
    model_factory: Callable[..., nn.Module],
    data: str,
    *,
    factors: Mapping[str, Iterable[Any]],
    seeds: Iterable[int] = (0, 1, 2),
    name: str | None = None,
    runs_dir: str | Path = "runs",
    settings: Mapping[str, Any] | None = None,
) -> Study:
    """Train a network of one's own once for each combination of the factors and seed, as `skiplab train -m` would.

    The trials leave the same records, so that finished ones are skipped when it is called again, and `skiplab table`,
    `report` and `evaluate` know them. The network is run as backbone=external says: its shortcuts are found, and those
    that are additions are joined by the trial's connection. Where the factory's file was edited, trials are others.

    Args:
        model_factory: builds the network; a function or class at the top level of a module that other processes can
            import, or a functools.partial of one. What it takes may be factors and settings.
        data: an option of the axis, such as 'digits'.
        factors: the values of each, no value twice; a parameter of the factory, or any choice or setting of a trial,
            such as connection, depth or 'optimizer.lr'.
        seeds: of the trials, whole numbers from 0.
        name: of the study; the factory's unless given.
        runs_dir: where the records go.
        settings: what all trials share, such as {'trainer.max_steps': 200, 'backbone.level_scale': 1000}.

    Returns:
        The study's records: `trials` is a frame with a row for each.

    Raises:
        SkiplabError: where something asked for is invalid, before anything is trained; or trials failed.
    """
    factory, bound = _without_partial(model_factory)
    target, parameters = _import_path(factory), _parameters(factory)
    grid = {factor: _values(factor, values) for factor, values in _named("factors", factors).items()}
    shared = {setting: plain(setting, value) for setting, value in _named("settings", settings or {}).items()}
    bound = {parameter: plain(parameter, value) for parameter, value in bound.items()}
    for twice in (grid.keys() & shared, grid.keys() & bound, shared.keys() & bound):
        if twice:
            raise SkiplabError(f"{min(twice)} is given twice; give it in factors, in settings or to functools.partial")
    shared |= bound
    for each in (*grid, *shared):
        _check_name(each, parameters)
    _check_required(target, parameters, {*grid, *shared})
    study_name = override_text(plain("name", factory.__name__ if name is None else name))
    words = {"backbone": "external", "backbone.target": target, "backbone.version": _version(factory)}
    words["data"] = override_text(plain("data", data))
    for setting, value in shared.items():
        words |= _words(setting, override_text(value), parameters)
    for factor, values in {"seed": _values("seeds", seeds), **grid}.items():
        words |= _words(factor, ",".join(map(override_text, values)), parameters)
    words |= {"run.study": study_name, "run.runs_dir": override_text(plain("runs_dir", runs_dir))}
    train(["-m", *(f"{name}={value}" for name, value in words.items())])
    return read_study(factory.__name__ if name is None else name, Path(runs_dir))


def _without_partial(factory: Any) -> tuple[Any, dict[str, Any]]:
    """The function in a functools.partial, and what it is bound to by name."""
    if not isinstance(factory, partial):
        return factory, {}
    try:
        return factory.func, dict(
            inspect.signature(factory.func).bind_partial(*factory.args, **factory.keywords).arguments
        )
    except (TypeError, ValueError) as error:
        raise SkiplabError(f"the arguments that {factory!r:.200} binds can't be told by name: {error}") from None


def _import_path(factory: Any) -> str:
    """By which any process can import it.

    Raises:
        SkiplabError: where none can, since nothing could load the trained network again.
    """
    if isinstance(factory, nn.Module):
        raise SkiplabError(
            f"model_factory is a network, a {type(factory).__name__}; give what builds one anew for each trial, a "
            "class or a function"
        )
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    if module in ("__main__", "__mp_main__"):
        raise SkiplabError(
            f"{name} is defined in __main__, a script or a notebook, from which no other process can load a trained "
            f"network again; move it to a file of its own, such as networks.py (in a notebook by a cell that begins "
            f"with `%%writefile networks.py`), and `from networks import {name}`"
        )
    found = sys.modules.get(module or "")
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
        raise SkiplabError(f"the parameters of {factory!r} can't be told: {error}; wrap it in a function") from None


def _version(factory: Callable[..., nn.Module]) -> str:
    """A hash of the file that defines it, by which trials of an edited network are others; null where there is none."""
    try:
        source = inspect.getsource(inspect.getmodule(factory))
    except (OSError, TypeError):
        return "null"
    return f"v{hashlib.sha256(source.encode()).hexdigest()[:12]}"


def _named(what: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise SkiplabError(f"{what} is a {type(given).__name__}; valid: a mapping, such as {{'depth': ...}}")
    return given


def _values(name: str, values: Any) -> list[Any]:
    """The values of a factor."""
    listed = [] if isinstance(values, str | Mapping) else plain(name, values)
    if not isinstance(listed, list) or not listed:
        raise SkiplabError(f"{name}={values!r:.60} is invalid; valid: a list of values")
    # 1 and 1.0 are one value, 1 and true are two
    keys = [
        value if isinstance(value, int | float) and not isinstance(value, bool) else repr(value) for value in listed
    ]
    twice = [value for value, key in zip(listed, keys, strict=True) if keys.count(key) > 1]
    if twice:
        raise SkiplabError(f"{name} has {twice[0]!r} twice; valid: a list of different values")
    return listed


def _check_name(name: Any, parameters: Mapping[str, Any]) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SkiplabError(
            f"{name!r} names no factor or setting; valid: parameters of the factory, axes and settings, of the letters "
            "a to z, digits, _ and dots"
        )
    if name.lstrip("~+") in _ARGUMENTS:
        raise SkiplabError(
            f"{name} is no factor or setting here; give it by study({_ARGUMENTS[name.lstrip('~+')]}=...)"
        )
    if name in parameters and name in _own_names() and name not in _SIZES:
        raise SkiplabError(
            f"{name} is a parameter of the factory and an axis or setting of every trial; rename the factory's "
            f"parameter, such as model_{name}"
        )


@cache
def _own_names() -> frozenset[str]:
    """Axes and settings of every trial."""
    table = OmegaConf.load(project_dir("conf") / "train.yaml")
    axes = [next(iter(each)) for each in table.pop("defaults") if isinstance(each, DictConfig)]
    return frozenset(map(str, (*axes, *table)))


def _check_required(target: str, parameters: Mapping[str, inspect.Parameter], given: set[str]) -> None:
    named = {name.lstrip("~+").removeprefix("backbone.arguments.") for name in given}
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    lacking = [
        parameter.name
        for parameter in parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in variable and parameter.name not in named
    ]
    if lacking and "backbone.arguments" not in named:
        raise SkiplabError(
            f"{target} needs {', '.join(lacking)}; give each in factors, or the same to all trials in settings, "
            f"{{'{lacking[0]}': ...}}"
        )


def _words(name: str, text: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """What sets a factor or a setting on the command line."""
    if name not in parameters:
        return {name: text}
    argument = f"+backbone.arguments.{name}"
    return {name: text, argument: f"${{{name}}}"} if name in _SIZES else {argument: text}
