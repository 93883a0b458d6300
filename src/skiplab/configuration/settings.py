"""The settings that a trial may have: those of train.yaml and of the options in use; any other is refused."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from skiplab.configuration.config_files import PRIMARY, ConfigFiles
from skiplab.configuration.suggestions import leaves, unknown_setting
from skiplab.errors import SkiplabError
from skiplab.kinds import is_of, refusal
from skiplab.listed_options import check_flat, check_nodes
from skiplab.records.key import OBSERVERS
from skiplab.records.local_paths import check_apart
from skiplab.records.plain_config import plain
from skiplab.records.study_list import study_folder
from skiplab.targets import locate


class Settings:
    """Checks composed configurations; each set of names is checked once.

    The node of an option may hold the settings in its YAML file and any other argument of its constructor. A node that
    is empty in the YAML file, such as the arguments of a user's own network, may hold anything. Values of what defines
    a trial are checked where it is built. Values of what only observes it are checked here, because a finished trial
    isn't built.

    Args:
        loader: Hydra's.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self._files = ConfigFiles(loader)
        self._checked: set[frozenset[str]] = set()
        primary = self._files.read(PRIMARY).settings
        self._defaults = {name: value for name, value in leaves(primary) if not name.startswith("hydra.")}

    def check(self, config: DictConfig, overrides: Sequence[str], hydra: DictConfig | None = None) -> None:
        """Refuse unknown settings, missing ones, and values of the wrong kind.

        Args:
            config: the composed configuration.
            overrides: the ones that it was composed with, including those of Hydra itself.
            hydra: Hydra's own node, to be checked too; None to leave it out.

        Raises:
            SkiplabError: names the setting, and those that are nearest or valid.
        """
        found = plain(config, resolve=False) | ({"hydra": plain(hydra, resolve=False)} if hydra is not None else {})
        names = frozenset(name for name, _ in leaves(found))
        if names not in self._checked:
            self._check_names(found, names, overrides)
            check_apart(config)  # before the key is computed, which reads the data
            self._checked.add(names)
        if OmegaConf.select(config, "data.path") == "":  # which would mean the current folder
            raise SkiplabError("data.path= is empty; give the folder of the data, or . for the current one")
        for name, default in self._defaults.items():
            kind = str | None if default is None else type(default)
            if name.split(".")[0] in OBSERVERS and not is_of(value := OmegaConf.select(config, name), kind):
                raise SkiplabError(refusal(name, value, kind))
        study_folder(Path(config.run.runs_dir), config.run.study)

    def _check_names(self, found: dict[str, Any], names: frozenset[str], overrides: Sequence[str]) -> None:
        known = self._known(found, overrides)
        for name, node in known.items():
            if name not in found and name != "hydra":
                raise SkiplabError(_missing(name))
            if name in found and node and isinstance(node, dict) and not isinstance(found[name], dict):
                valid = self.loader.get_group_options(name) or node
                raise SkiplabError(f"{name}={found[name] or 'null'} is invalid; valid: {', '.join(valid)}")
        if missing := next((name for name in self._defaults if "." in name and name not in names), None):
            raise SkiplabError(_missing(missing))
        if unknown := next(_unknown(found, known, ""), None):
            raise SkiplabError(unknown_setting(unknown, [name for name, _ in leaves(known)]))

    def _known(self, found: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
        """The settings of all files that the configuration is composed of, except presets."""
        axes, primary = set(self._files.axes), self._files.read(PRIMARY).settings
        known: dict[str, Any] = {axis: {"_target_": None} for axis in axes}
        for path, package in self._files.composed(overrides):
            if path == PRIMARY or package.split(".")[0] == path.split("/")[0]:
                _merge(known, package, self._files.read(path).settings)
        for axis in axes & set(primary):  # lists of options; a preset may hold settings of further ones
            for option in set(found.get(axis) or ()) & set(self.loader.get_group_options(axis)):
                content = self._files.read(f"{axis}/{option}").settings
                check_flat(axis, option, content)
                _merge(known, f"{axis}.{option}", content)
            check_nodes(axis, found.get(axis) or {})
        return {name: node for name, node in known.items() if name in axes or name in primary}


def takes(target: Any, name: str) -> bool:
    """Whether the constructor of an option takes an argument; True if it can't be imported, which is refused later."""
    if not isinstance(target, str):
        return False
    try:
        parameters = inspect.signature(locate(target)).parameters
    except Exception:
        return True
    return name in parameters or any(each.kind == each.VAR_KEYWORD for each in parameters.values())


def _missing(name: str) -> str:
    return f"{name} is missing, and every trial needs it; remove ~{name}"


def _merge(known: dict[str, Any], package: str, settings: Mapping[str, Any]) -> None:
    """Add the settings of a file to its package."""
    node = known
    for part in filter(None, package.split(".")):
        node = node.setdefault(part, {})
    _add(node, settings)


def _add(node: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for name, child in settings.items():
        if isinstance(child, dict) and isinstance(node.get(name), dict):
            _add(node[name], child)
        elif not isinstance(node.get(name), dict):  # another file leaves its settings open
            node[name] = deepcopy(child)


def _unknown(found: Mapping[str, Any], known: Mapping[str, Any], start: str) -> Iterator[str]:
    """The full names of settings that are in `found` and not in `known`."""
    for name, child in found.items():
        if name not in known:
            if not takes(found.get("_target_"), name):
                yield next(f"{start}{each}" for each, _ in leaves({name: child}))
        elif isinstance(child, dict) and isinstance(known[name], dict) and known[name]:
            yield from _unknown(child, known[name], f"{start}{name}.")
