"""Configurations as plain Python values, and as YAML."""

from collections.abc import Mapping
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf

_READ_AS_BOOL = {"y", "n", "yes", "no", "on", "off", "true", "false"}  # by OmegaConf, in any case


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


def to_yaml(content: Mapping[str, Any]) -> str:
    """Plain values as `OmegaConf.to_yaml` writes them, by libyaml where it is installed, in a tenth of the time.

    OmegaConf reads the same values again: texts that it would read as numbers or truth values are quoted. libyaml
    escapes characters beyond U+FFFF.
    """
    return yaml.dump(content, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """With the texts of OmegaConf."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if _would_be_other(text) else None)


def _would_be_other(text: str) -> bool:
    if text.lower() in _READ_AS_BOOL:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


_Dumper.add_representer(str, _represent_text)
