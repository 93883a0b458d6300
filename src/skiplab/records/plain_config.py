"""Configurations as plain Python values."""

from typing import Any, cast

from omegaconf import DictConfig, OmegaConf


def plain(config: DictConfig, *, resolve: bool = True, complete: bool = False) -> dict[str, Any]:
    """A configuration as mappings, lists and scalars.

    Args:
        config: the configuration.
        resolve: whether interpolations are resolved.
        complete: whether a missing value is an error.

    Raises:
        MissingMandatoryValue: if a value is missing and `complete` is set.
    """
    found = OmegaConf.to_container(config, resolve=resolve, throw_on_missing=complete)
    return cast(dict[str, Any], found)  # OmegaConf's annotation covers lists, texts and None too
