"""Hydra composes as ever and works each step out once: a file that is read, a word that is parsed, options combined.

A composition takes an eighth of a second, and the suite makes thousands, of the same files and mostly the same words.
Overrides of values are applied by Hydra each time, to a copy of what the chosen options combine to.
"""

import copy
import functools
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from option_files import CONF

remembering = False  # whether what is unpickled just now is a composition, which a watch of pickles need not note


def install() -> None:
    """Let Hydra remember, in this process and in those forked from it."""
    from hydra._internal import defaults_list
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
    from hydra.core import default_element
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf, base

    load, parse, choices = OmegaConf.load, OverridesParser.parse_rule, defaults_list._create_interpolation_map
    listing, combine = defaults_list._create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list
    place = ConfigLoaderImpl._load_single_config
    files, words, lists, configs, placed, combined = (_Remembered() for _ in range(6))

    def loaded(file: Any) -> Any:
        path = Path(file if isinstance(file, str | os.PathLike) else file.name)
        status = path.stat()
        return files.get((str(path), status.st_mtime_ns, status.st_size), lambda: load(file))

    def parsed(self: OverridesParser, word: str, rule: str) -> Any:
        return words.get((word, rule), lambda: parse(self, word, rule))

    def interpolated(overrides: Any, found: Any, self_added: bool) -> Any:
        """Needed, and dear, only where a default names another."""
        return choices(overrides, found, self_added) if any(each.is_interpolation() for each in found) else None

    def listed(repo: Any, config_name: Any, overrides: Any, prepend_hydra: bool, skip_missing: bool) -> Any:
        """The files that the chosen options name, and what the search for them noted in `overrides`."""
        noted = ("override_choices", "override_metadata", "deletions", "known_choices", "known_choices_per_group")
        asked = repr([getattr(overrides, name) for name in (*noted, "append_group_defaults")])

        def search() -> Any:
            found, _ = listing(repo, config_name, overrides, prepend_hydra, skip_missing)
            return found, {name: getattr(overrides, name) for name in noted}

        key = (_state(repo), config_name, prepend_hydra, skip_missing, asked)
        found, notes = lists.get(key, search)
        vars(overrides).update(notes)
        return found, None  # no tree, which `--info` alone would show

    def known(self: CachingConfigRepository, config_path: str) -> Any:
        """What a file of options says, once for each composition, which may note more in it."""
        if config_path not in self.cache:
            read = functools.partial(self.delegate.load_config, config_path)
            self.cache[config_path] = configs.get((_state(self), config_path), read)
        return self.cache[config_path]

    def in_place(self: ConfigLoaderImpl, default: Any, repo: Any) -> Any:
        """What a file of options says, below the name of its group."""
        key = (_state(repo), default.config_path, default.package, default.primary)
        return placed.get(key, lambda: place(self, default, repo))

    def combination(self: ConfigLoaderImpl, defaults: Any, repo: Any) -> Any:
        def merge() -> Any:
            """OmegaConf tells every node its parent after each of the forty merges; after the last is enough."""
            tell = base.Box._re_parent
            base.Box._re_parent = lambda self: None
            try:
                whole = combine(self, defaults, repo)
            finally:
                base.Box._re_parent = tell
            whole._re_parent()
            return whole

        key = (_state(repo), tuple((each.config_path, each.package, each.primary) for each in defaults))
        return combined.get(key, merge)

    OmegaConf.load, OverridesParser.parse_rule = staticmethod(loaded), parsed
    defaults_list._create_interpolation_map = interpolated
    defaults_list._create_defaults_list = listed
    CachingConfigRepository.load_config, ConfigLoaderImpl._load_single_config = known, in_place
    ConfigLoaderImpl._compose_config_from_defaults_list = combination
    # its sources are replaced, never changed
    ConfigRepository.__deepcopy__ = lambda self, memo: copy.copy(self)  # pyright: ignore[reportAttributeAccessIssue]
    default_element.AnyNode = functools.cache(default_element.AnyNode)  # asked whether a name is an interpolation
    base.parse = functools.cache(base.parse)  # the tree of an interpolation, which nobody changes


def _state(repo: Any) -> tuple[Any, ...]:
    """Where a composition's files are looked for, and of each that is there when it was written and its length."""
    sources = repo.get_sources()
    if getattr(repo, "seen", None) is not sources:  # they are replaced where a search path is given
        repo.seen = sources
        repo.state = tuple(
            (source.provider, source.path, *(_files(source.path) if source.scheme() == "file" else ()))
            for source in sources
        )
    return repo.state


def _files(folder: str) -> list[Any]:
    return _own_files() if Path(folder) == CONF else _found(folder)


@functools.cache
def _own_files() -> list[Any]:
    """Those of skiplab, which no test changes."""
    return _found(str(CONF))


def _found(folder: str) -> list[Any]:
    found: list[Any] = []
    if os.path.isdir(folder):
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    found += _found(entry.path)
                else:
                    status = entry.stat()
                    found.append((entry.path, status.st_mtime_ns, status.st_size))
    return found


class _Remembered:
    """What was made of something, of which each caller gets a copy of its own."""

    def __init__(self) -> None:
        self._pickles: dict[Any, bytes] = {}

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._pickles:
            made = make()
            try:
                self._pickles[key] = pickle.dumps(made)
            except pickle.PicklingError:  # its classes were imported anew since
                return made
        global remembering
        remembering = True
        try:
            return pickle.loads(self._pickles[key])
        finally:
            remembering = False
