"""Tells overrides that select options, which Hydra composes, from those that set a value in what it composed."""

from collections.abc import Sequence
from typing import NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from skiplab.configuration.overrides import written


class Kinds(NamedTuple):
    """The overrides of a trial: those that select options as they were written, and the others."""

    options: tuple[str, ...]
    values: list[Override]


class OverrideKinds:
    """Sorts the overrides of trials.

    Args:
        loader: Hydra's.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader, self._parser = loader, OverridesParser.create(config_loader=loader)
        self._is_axis: dict[str, bool] = {}

    def parse(self, words: Sequence[str]) -> list[Override]:
        """The overrides that the words are.

        Raises:
            HydraException: a word is none.
        """
        return self._parser.parse_overrides(list(words))

    def sort(self, overrides: Sequence[Override]) -> Kinds:
        """The overrides of a trial by kind."""
        options = tuple(written(each) for each in overrides if self._selects(each))
        return Kinds(options, [each for each in overrides if not self._selects(each)])

    def _selects(self, override: Override) -> bool:
        name = override.key_or_group
        if name not in self._is_axis:
            self._is_axis[name] = bool(self._loader.get_group_options(name, None))
        return bool(override.package) or self._is_axis[name]
