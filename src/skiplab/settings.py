"""Which settings a trial has: those of train.yaml and of the chosen options; whatever else was added is refused."""

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.defaults_list import create_defaults_list
from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import GroupDefault
from omegaconf import DictConfig, OmegaConf

from skiplab.errors import SkiplabError
from skiplab.kinds import is_of, refusal
from skiplab.listed_options import LISTS, check_flat, check_nodes
from skiplab.paths import project_dir
from skiplab.records.key import OBSERVERS
from skiplab.records.local_paths import check_apart
from skiplab.records.record import study_folder
from skiplab.targets import locate

_PRIMARY = "train"


class Settings:
    """What composed configurations are compared with; each set of names is looked at once.

    An option's node may hold the settings of its YAML, and further ones that its constructor takes. A node that is
    empty in the YAML, such as the arguments of a network of one's own, may hold anything. Values of what makes a trial
    are checked where it is built; those that only observe it are checked here, for a finished trial isn't built.

    Args:
        loader: Hydra's.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self._seen: set[frozenset[str]] = set()
        primary = OmegaConf.to_container(loader.repository.load_config(_PRIMARY).config)
        self._defaults = {name: value for name, value in _leaves(primary) if not name.startswith("hydra.")}

    def check(self, config: DictConfig, overrides: Sequence[str], hydra: DictConfig | None = None) -> None:
        """Refuse what no trial has, what every trial has and this one lacks, and values of the wrong kind.

        Args:
            config: what was composed.
            overrides: of what, Hydra's own among them.
            hydra: Hydra's own node, to be checked too; None not to.

        Raises:
            SkiplabError: names the setting, and those that are nearest or valid.
        """
        found = OmegaConf.to_container(config) | ({"hydra": OmegaConf.to_container(hydra)} if hydra is not None else {})
        names = frozenset(_names(found))
        if names not in self._seen:
            self._check_names(found, overrides)
            check_apart(config)  # before its key is asked for, which reads the data
            self._seen.add(names)
        if OmegaConf.select(config, "data.path") == "":  # which would stand for the current folder
            raise SkiplabError("data.path= is empty; give the folder of the data, or . for the current one")
        for name, default in self._defaults.items():
            kind = str | None if default is None else type(default)
            if name.split(".")[0] in OBSERVERS and not is_of(value := OmegaConf.select(config, name), kind):
                raise SkiplabError(refusal(name, value, kind))
        study_folder(Path(config.run.runs_dir), config.run.study)

    def _check_names(self, found: dict[str, Any], overrides: Sequence[str]) -> None:
        known = self._known(found, overrides)
        for name, node in known.items():
            if name not in found and name != "hydra":
                raise SkiplabError(f"{name} is missing, and every trial has it; leave ~{name} out")
            if name in found and node and isinstance(node, dict) and not isinstance(found[name], dict):
                valid = self.loader.get_group_options(name) or node
                raise SkiplabError(f"{name}={found[name] or 'null'} is invalid; valid: {', '.join(valid)}")
        missing = next((name for name in self._defaults if "." in name and name not in _names(found)), None)
        if missing:
            raise SkiplabError(f"{missing} is missing, and every trial has it; leave ~{missing} out")
        if unknown := next(_unknown(found, known, ""), None):
            raise SkiplabError(unknown_setting(unknown, [name for name, _ in _leaves(known)]))

    def _known(self, found: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
        """The settings of the files that were composed, presets left out."""
        parsed, repository = self.loader._parse_overrides_and_create_caching_repo(_PRIMARY, list(overrides))
        composed = create_defaults_list(
            repo=repository, config_name=_PRIMARY, overrides_list=parsed, prepend_hydra=True, skip_missing=True
        ).defaults
        primary = repository.load_config(_PRIMARY)
        listed = [each for each in primary.defaults_list if isinstance(each, GroupDefault) and not each.is_override()]
        axes = {each.group for each in listed} - {"experiment"}
        known: dict[str, Any] = {axis: {"_target_": None} for axis in axes}
        for each in composed:
            if each.config_path == _PRIMARY or each.package.split(".")[0] == each.config_path.split("/")[0]:
                _merge(known, each.package, repository.load_config(each.config_path).config)
        for axis in axes & set(primary.config):  # lists of options; a preset may hold settings of others
            for option in set(found.get(axis) or ()) & set(repository.get_group_options(axis)):
                content = repository.load_config(f"{axis}/{option}").config
                check_flat(axis, option, content)
                _merge(known, f"{axis}.{option}", content)
            check_nodes(axis, found.get(axis) or {})
        return {name: node for name, node in known.items() if name in axes or name in primary.config}


def unknown_setting(name: str, known: Sequence[str]) -> str:
    """What to say of a setting that there isn't: what is nearest to it, and what is valid in its place."""
    known = [each for each in known if each.startswith("hydra.") == name.startswith("hydra.")]
    parent = name.rpartition(".")[0]
    while parent and not any(each.startswith(f"{parent}.") for each in known):
        parent = parent.rpartition(".")[0]
    start = f"{parent}." if parent else ""
    below = {each.removeprefix(start).partition(".")[0] for each in known if each.startswith(start)}
    valid = sorted(each for each in below if not each.startswith("_"))
    where = f" in {parent}" if parent else ""
    told = f"unknown setting {name}; valid{where}: {', '.join(valid) or 'none'}"
    if others := _options_with(name):
        return f"{told}; it belongs to {', '.join(others)}"
    near = " or ".join(nearest_names(name, [each for each in known if not each.endswith("_")]))
    return f"{told}; did you mean {near}?" if near else told


def _options_with(name: str) -> list[str]:
    """The options of conf/ that have a setting AXIS.NAME."""
    axis, _, own = name.partition(".")
    files = sorted((project_dir("conf") / axis).glob("*.yaml")) if own and axis not in LISTS else []
    return [f"{axis}={file.stem}" for file in files if own in (OmegaConf.load(file) or {})]


def all_names(config: DictConfig) -> list[str]:
    """The full name of every setting."""
    return [name for name, _ in _leaves(OmegaConf.to_container(config))]


def nearest_names(name: str, known: Sequence[str]) -> list[str]:
    """Settings of that name elsewhere, else one beside it that is spelled alike, else one anywhere."""
    parent, _, own = name.rpartition(".")
    last = {each: each.rpartition(".")[2] for each in known}
    same = sorted((each for each in known if last[each] == own), key=lambda each: (each.count("."), each))
    if same:
        return same[:3]
    for among, cutoff in (([each for each in known if each.rpartition(".")[0] == parent], 0.6), (known, 0.8)):
        if close := difflib.get_close_matches(own, [last[each] for each in among], n=1, cutoff=cutoff):
            return [next(each for each in among if last[each] == close[0])]
    return []


def _leaves(node: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for name, child in node.items():
        if isinstance(child, dict) and child:
            yield from _leaves(child, f"{start}{name}.")
        else:
            yield f"{start}{name}", child


def _names(node: Mapping[str, Any]) -> list[str]:
    return [name for name, _ in _leaves(node)]


def _merge(known: dict[str, Any], package: str, config: DictConfig) -> None:
    """Add the settings of a file where it belongs."""
    node = known
    for part in filter(None, package.split(".")):
        node = node.setdefault(part, {})
    _add(node, OmegaConf.to_container(config))


def _add(node: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for name, child in settings.items():
        if isinstance(child, dict) and isinstance(node.get(name), dict):
            _add(node[name], child)
        elif not isinstance(node.get(name), dict):  # whose settings another file leaves open
            node[name] = child


def _unknown(found: Mapping[str, Any], known: Mapping[str, Any], start: str) -> Iterator[str]:
    """Full names of what is found and isn't known."""
    for name, child in found.items():
        if name not in known:
            if not takes(found.get("_target_"), name):
                yield next((f"{start}{each}" for each, _ in _leaves({name: child})))
        elif isinstance(child, dict) and isinstance(known[name], dict) and known[name]:
            yield from _unknown(child, known[name], f"{start}{name}.")


def takes(target: Any, name: str) -> bool:
    """Whether what an option is made by takes an argument; what can't be imported is refused where it is made."""
    if not isinstance(target, str):
        return False
    try:
        parameters = inspect.signature(locate(target)).parameters
    except Exception:
        return True
    return name in parameters or any(each.kind == each.VAR_KEYWORD for each in parameters.values())
