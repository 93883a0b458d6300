"""Reads the configuration of a record that someone else may have written, without running their code.

A record names its components by import paths, and importing or calling such a path runs code. Unless the user trusts a
record, every path must be that of an option in the installation's `conf/` or in a folder of the user's own; this is
checked before anything is imported. If an option's own arguments lead to code, they are named in its attribute `code`
and must be those of its YAML.
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
from skiplab.records.file_names import CONFIG
from skiplab.records.finished_files import check_unchanged
from skiplab.records.foreign_files import check_yaml, read_own
from skiplab.records.plain_config import plain
from skiplab.records.record_schema import RecordContent
from skiplab.targets import obeyed_keys

_MOST_SHOWN = 8
Options = Mapping[str, Any]  # the content of each option's YAML, by its target


def record_config(
    folder: Path,
    record: RecordContent,
    *,
    trust: bool,
    config_dir: Path | None = None,
    replaced: Collection[str] = (),
) -> DictConfig:
    """The configuration of a record, with this machine's values where it depends on the machine.

    Args:
        folder: the record's folder.
        record: the record, which knows whether its configuration was changed.
        trust: whether code that isn't an option of skiplab may be run, too.
        config_dir: a folder of the user's own options, which are trusted like skiplab's.
        replaced: nodes that will be replaced.

    Raises:
        SkiplabError: if it can't be read, was changed, or needs code that isn't trusted.
    """
    config = _read(folder, record)
    content = plain(config, resolve=False)
    if "module" in content:
        raise SkiplabError(
            f"{folder} is a trial of a LightningModule, which skiplab doesn't make from a record; make it in your own "
            "code, and load its weights with safetensors.torch.load_file(RUN/weights.safetensors)"
        )
    axes = {name: _options(name, config_dir) for name in _axes()}
    for name in [name for name, options in axes.items() if None in options and name not in content]:
        config[name] = content[name] = {"_target_": None}  # a trial without the axis is the same, as in its key
    if lacking := [name for name in (*axes, "run") if not isinstance(content.get(name), dict)]:
        raise SkiplabError(f"{folder / CONFIG} lacks {', '.join(lacking)}; give the folder of a trial, runs/KEY")
    asked = [each for name in content if name not in replaced for each in _foreign(name, content[name], axes.get(name))]
    if asked and not trust:
        shown = ", ".join(asked[:_MOST_SHOWN]) + (f" and {len(asked) - _MOST_SHOWN} more" * (len(asked) > _MOST_SHOWN))
        raise SkiplabError(
            f"{folder} needs code that is no option of skiplab: {shown}; read its config.yaml, and if you trust its "
            "author, use skiplab.load(RUN, trust=True) or skiplab evaluate RUN --trust (for options of your own, "
            "skiplab evaluate RUN --config-dir FOLDER)"
        )
    try:
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        reason = " ".join(str(error).split())
        raise SkiplabError(f"{folder / CONFIG} can't be resolved: {reason}; replace it by a value") from None
    _localize(config.data, axes["data"])
    return config


def _read(folder: Path, record: RecordContent) -> DictConfig:
    path = folder / CONFIG
    try:
        content = read_own(path)
        check_unchanged(content, record["files"].get(CONFIG))
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
    """The axes of a trial: the defaults list of `conf/train.yaml`, without presets and Hydra's own."""
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
    for path in sorted(folder.glob("*.yaml"), reverse=True):  # of several options with one target, the first counts
        settings = _with_defaults(path)
        if folder.name in LISTS:
            check_flat(folder.name, path.stem, settings)
        if "_target_" in settings:
            found[settings["_target_"]] = settings
    return found


def _with_defaults(path: Path) -> dict[str, Any]:
    """The content of an option's YAML, with the options beside it that it is based on."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    merged: dict[str, Any] = {}
    for entry in content.pop("defaults", []):
        beside = path.with_name(f"{entry}.yaml")
        if isinstance(entry, str) and entry != "_self_" and beside != path and beside.is_file():
            merged |= _with_defaults(beside)
    return merged | content


def _foreign(name: str, node: Any, options: Options | None) -> Iterator[str]:
    """What a record's node needs beyond the options of its axis, which are None if it is no axis."""
    yield from _interpolations(node, name)
    if options is None:
        yield from obeyed_keys(node, name)
    elif name in LISTS:
        for each, settings in node.items():
            if isinstance(settings, dict) and "_target_" in settings:  # others aren't enabled
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
    if target is None:
        return
    own = options[target]
    make = get_object(target)  # an option's own
    known = own.keys() | inspect.signature(make).parameters.keys()
    for key, value in settings.items():
        if key not in known or (key in getattr(make, "code", ()) and value != own.get(key)):
            yield f"{name}.{key}={_shown(value)}"


def _interpolations(node: Any, name: str) -> Iterator[str]:
    """Interpolations, which a record doesn't need and which read this machine's environment and files."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _interpolations(child, f"{name}.{key}")
    elif isinstance(node, list):
        for child in node:
            yield from _interpolations(child, name)
    elif isinstance(node, str) and "${" in node:
        yield f"{name}={_shown(node)}"


def _shown(value: Any) -> str:
    """A value as short ASCII text without control characters."""
    text = json.dumps(value)
    text = text[1:-1] if isinstance(value, str) else text
    return text if len(text) <= 80 else f"{text[:77]}..."


def _localize(node: DictConfig, options: Options) -> None:
    """Read settings again that an option's YAML reads from the environment."""
    own = options.get(node._target_, {})
    for key, value in own.items():
        if isinstance(value, str) and value.startswith("${oc.env:") and key in node:
            node[key] = OmegaConf.create(own)[key]
