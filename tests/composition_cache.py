"""Hydra composes as ever and works each step out once: a file that is read, a word that is parsed.

A composition takes an eighth of a second, and the suite makes thousands, of the same files and mostly the same words.
"""

import os
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

enabled = True  # a process in which unpickling is watched does without


def install() -> None:
    """Let Hydra remember, in this process and in those forked from it."""
    from hydra._internal import defaults_list
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf, base

    load, parse, choices = OmegaConf.load, OverridesParser.parse_rule, defaults_list._create_interpolation_map
    files, words = _Remembered(), _Remembered()

    def loaded(file: Any) -> Any:
        path = Path(file if isinstance(file, str | os.PathLike) else file.name)
        status = path.stat()
        return files.get((str(path), status.st_mtime_ns, status.st_size), lambda: load(file))

    def parsed(self: OverridesParser, word: str, rule: str) -> Any:
        return words.get((word, rule), lambda: parse(self, word, rule))

    def interpolated(overrides: Any, found: Any, self_added: bool) -> Any:
        """Needed, and dear, only where a default names another."""
        return choices(overrides, found, self_added) if any(each.is_interpolation() for each in found) else None

    OmegaConf.load, OverridesParser.parse_rule = staticmethod(loaded), parsed
    defaults_list._create_interpolation_map = interpolated
    base.parse = cache(base.parse)  # the tree of an interpolation, which nobody changes


class _Remembered:
    """What was made of something, of which each caller gets a copy of its own."""

    def __init__(self) -> None:
        self._pickles: dict[Any, bytes] = {}

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        if not enabled:
            return make()
        if key not in self._pickles:
            self._pickles[key] = pickle.dumps(make())
        return pickle.loads(self._pickles[key])
