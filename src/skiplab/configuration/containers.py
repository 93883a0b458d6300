"""Configurations as plain dictionaries."""

from typing import Any, cast

from omegaconf import DictConfig, OmegaConf


def to_dict(config: DictConfig) -> dict[str, Any]:
    """The settings of a configuration as nested dicts and lists, with references unresolved."""
    return cast(dict[str, Any], OmegaConf.to_container(config))


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy of what Hydra composed without its own node; an unknown key stays an error."""
    own = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    OmegaConf.set_struct(own, True)
    return own
