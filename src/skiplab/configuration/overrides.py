"""Overrides of the command line: the grid that they span, and what they do to a configuration that is composed."""

import itertools
from collections.abc import Sequence

from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from skiplab.errors import SkiplabError


def written(override: Override) -> str:
    """The override as it was written."""
    assert override.input_line is not None  # the parser sets it
    return override.input_line


def grid_points(overrides: Sequence[Override]) -> list[list[str]]:
    """One list of overrides for each point of the grid, in the order of Hydra's own sweeper: the last varies fastest.

    Raises:
        SkiplabError: an override has no separate values.
    """
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        is_swept = override.is_sweep_override()
        own = _values(override) if is_swept else [override.get_value_element_as_str()]
        values[key] = [f"{key}={value}" for value in own]
    return [list(point) for point in itertools.product(*values.values())]


def _values(override: Override) -> list[str]:
    word, name = written(override), override.key_or_group
    if not override.is_discrete_sweep():
        raise SkiplabError(
            f"{word} is a continuous interval, and a sweep needs separate values; give a list such as {name}=0,1, or "
            f"{name}=range(START,STOP)"
        )
    try:
        return list(override.sweep_string_iterator())
    except ValueError:
        raise SkiplabError(
            f"{word} has a step of 0; give another, {name}=range(START,STOP,STEP), or a list such as {name}=0,1"
        ) from None


def apply_overrides(overrides: Sequence[Override], config: DictConfig) -> None:
    """Change settings of a configuration in place, as composing it with these overrides would have done.

    Raises:
        HydraException: an override doesn't fit the configuration.
        SkiplabError: it names a package, and what it sets is no axis.
    """
    for override in overrides:
        if override.package is not None:
            raise SkiplabError(
                f"{override.input_line} names the package {override.package}, and {override.key_or_group} is no axis; "
                f"remove @{override.package}"
            )
        try:
            _apply(override, config)
        except OmegaConfBaseException as error:
            raise ConfigCompositionException(f"Error merging override {override.input_line}") from error


def _apply(override: Override, config: DictConfig) -> None:
    key, value = override.key_or_group, override.value()
    if override.is_delete():
        _delete(key, value, config)
    elif override.is_add() and OmegaConf.select(config, key) is not None and not isinstance(value, dict | list):
        raise ConfigCompositionException(f"Could not append to config. An item is already at '{key}'.")
    elif override.is_add() or override.is_force_add():
        OmegaConf.update(config, key, value, force_add=True)
    else:
        try:
            OmegaConf.update(config, key, value)
        except (ConfigAttributeError, ConfigKeyError) as error:
            raise ConfigCompositionException(f"Could not override '{key}'.") from error


def _delete(key: str, value: object, config: DictConfig) -> None:
    found = OmegaConf.select(config, key)
    if found is None:
        raise ConfigCompositionException(f"Could not delete from config. '{key}' does not exist.")
    if value is not None and value != found:
        raise ConfigCompositionException(
            f"Could not delete from config. The value of '{key}' is {found} and not {value}."
        )
    parent, _, name = key.rpartition(".")
    with open_dict(config):
        del (OmegaConf.select(config, parent) if parent else config)[name]
