"""A record's configuration, which someone else may have written: only skiplab's own options are made from it unasked.

A record names what its trial was made of by import paths, and to import or call another's path runs another's code.
Names are compared with those in the installation's `conf/`, and in a folder of the user's own, before anything is
imported. An option says by `code` which of its arguments lead to code themselves; they must be as its YAML has them.
"""

import inspect
import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from skiplab.errors import SkiplabError
from skiplab.listed_options import LISTS, check_flat
from skiplab.paths import project_dir
from skiplab.records.foreign_files import check_yaml, read_own
from skiplab.targets import obeyed_keys

_MOST_SHOWN = 8
Options = Mapping[str, Any]  # by target, what the YAML of an option says


def record_config(
    folder: Path, *, trust: bool, config_dir: Path | None = None, replaced: Collection[str] = ()
) -> DictConfig:
    """The configuration of a record, with what depends on the machine as it is on this one.

    Args:
        folder: the record.
        trust: whether what is no option of skiplab may be made, too.
        config_dir: a folder of the user's own options, which are taken like skiplab's.
        replaced: nodes that won't be made.

    Raises:
        SkiplabError: where it can't be read, or asks for code that isn't trusted.
    """
    config = _read(folder)
    plain = OmegaConf.to_container(config)
    axes = {name: _options(name, config_dir) for name in _axes()}
    if lacking := [name for name in (*axes, "run") if not isinstance(plain.get(name), dict)]:
        raise SkiplabError(f"{folder / 'config.yaml'} lacks {', '.join(lacking)}; give the folder of a trial, runs/KEY")
    asked = [each for name in plain if name not in replaced for each in _foreign(name, plain[name], axes.get(name))]
    if asked and not trust:
        shown = ", ".join(asked[:_MOST_SHOWN]) + (f" and {len(asked) - _MOST_SHOWN} more" * (len(asked) > _MOST_SHOWN))
        raise SkiplabError(
            f"{folder} asks for what is no option of skiplab and may run any code: {shown}; look at its config.yaml, "
            "and if you trust who wrote it: skiplab.load(RUN, trust=True), skiplab evaluate RUN --trust (options of "
            "your own: skiplab evaluate RUN --config-dir FOLDER)"
        )
    try:
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        reason = " ".join(str(error).split())
        raise SkiplabError(f"{folder / 'config.yaml'} can't be resolved: {reason}; put values in its place") from None
    _localise(config.data, axes["data"])
    return config


def _read(folder: Path) -> DictConfig:
    path = folder / "config.yaml"
    try:
        content = read_own(path)
        check_yaml(content)
        config = OmegaConf.create(content.decode())
    except FileNotFoundError:
        raise SkiplabError(f"{folder} has no config.yaml; give the folder of a finished trial, runs/KEY") from None
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise SkiplabError(f"{path} can't be read as a configuration: {reason}; take another copy of it") from None
    if not isinstance(config, DictConfig):
        raise SkiplabError(f"{path} holds no configuration; give the folder of a trial, runs/KEY")
    return config


def _axes() -> list[str]:
    """The axes of a trial: what `conf/train.yaml` lists, less its presets and Hydra's own."""
    content = yaml.safe_load((project_dir("conf") / "train.yaml").read_text(encoding="utf-8"))
    names = [name for entry in content["defaults"] if isinstance(entry, dict) for name in entry]
    return [name for name in names if name != "experiment" and not name.startswith("override ")]


def _options(axis: str, config_dir: Path | None) -> Options:
    """The options of an axis, in the installation and in the user's folder."""
    return {
        target: settings
        for root in (project_dir("conf"), config_dir)
        if root is not None
        for target, settings in _options_in(root / axis).items()
    }


@cache
def _options_in(folder: Path) -> Options:
    found = {}
    for path in sorted(folder.glob("*.yaml"), reverse=True):  # of several with one target, the first says its defaults
        settings = _with_defaults(path)
        if folder.name in LISTS:
            check_flat(folder.name, path.stem, settings)
        if "_target_" in settings:
            found[settings["_target_"]] = settings
    return found


def _with_defaults(path: Path) -> dict[str, Any]:
    """What an option's YAML says, with what it takes from options beside it."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    merged: dict[str, Any] = {}
    for entry in content.pop("defaults", []):
        beside = path.with_name(f"{entry}.yaml")
        if isinstance(entry, str) and entry != "_self_" and beside != path and beside.is_file():
            merged |= _with_defaults(beside)
    return merged | content


def _foreign(name: str, node: Any, options: Options | None) -> Iterator[str]:
    """What a node of a record asks for beyond the options of its axis; None where it is no axis."""
    yield from _interpolations(node, name)
    if options is None:
        yield from obeyed_keys(node, name)
    elif name in LISTS:
        for each, settings in node.items():
            if isinstance(settings, dict) and "_target_" in settings:  # others weren't chosen, and aren't made
                yield from _beyond(f"{name}.{each}", settings, options)
    else:
        yield from _beyond(name, node, options)


def _beyond(name: str, node: dict[str, Any], options: Options) -> Iterator[str]:
    target = node.get("_target_")
    if not isinstance(target, str | None) or target not in options:
        yield f"{name}._target_={_shown(target)}"
        return
    settings = {key: value for key, value in node.items() if key != "_target_"}
    yield from obeyed_keys(settings, name)
    own = options[target]
    if target is None:
        return
    make = get_object(target)  # an option's own
    known = own.keys() | inspect.signature(make).parameters.keys()
    for key, value in settings.items():
        if key not in known or (key in getattr(make, "code", ()) and value != own.get(key)):
            yield f"{name}.{key}={_shown(value)}"


def _interpolations(node: Any, name: str) -> Iterator[str]:
    """A record holds values; an interpolation in it reads what is of this machine, such as its environment."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _interpolations(child, f"{name}.{key}")
    elif isinstance(node, list):
        for child in node:
            yield from _interpolations(child, name)
    elif isinstance(node, str) and "${" in node:
        yield f"{name}={_shown(node)}"


def _shown(value: Any) -> str:
    """A value as ASCII that steers no terminal, cut off."""
    text = json.dumps(value)
    text = text[1:-1] if isinstance(value, str) else text
    return text if len(text) <= 80 else f"{text[:77]}..."


def _localise(node: DictConfig, options: Options) -> None:
    """Take settings that an option's YAML takes from the machine's environment from this machine's."""
    own = options.get(node._target_, {})
    for key, value in own.items():
        if isinstance(value, str) and value.startswith("${oc.env:") and key in node:
            node[key] = OmegaConf.create(own)[key]
