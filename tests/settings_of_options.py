"""Every setting of every option, found in conf/: tests that go through all of them keep no list."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from option_files import CONF, every_option

TOP = {name: value for name, value in yaml.safe_load((CONF / "train.yaml").read_text()).items() if name != "hydra"}


class Setting(NamedTuple):
    """A setting of an option, such as norm, group, norm.num_groups and 8; of train.yaml where there is no axis."""

    axis: str
    option: str
    name: str
    default: Any

    @property
    def chosen(self) -> list[str]:
        """The override that chooses its option."""
        if not self.axis:
            return []
        return [f"{self.axis}=[{self.option}]" if self.axis in TOP else f"{self.axis}={self.option}"]


def node_of(axis: str, option: str) -> dict[str, Any]:
    """What an option's YAML holds, with what it takes over from others."""
    content = yaml.safe_load((CONF / axis / f"{option}.yaml").read_text())
    node: dict[str, Any] = {}
    for each in content.pop("defaults", []):
        node |= node_of(axis, each) if each != "_self_" else content
    return node | content


def settings() -> list[Setting]:
    """All of them, those of train.yaml first."""
    top = [Setting("", "", name, value) for name, value in _leaves("", TOP) if value != {}]
    return top + [
        Setting(axis, option, name, value)
        for axis, option in every_option()
        for name, value in _leaves(f"{axis}.{option}." if axis in TOP else f"{axis}.", node_of(axis, option))
        if not name.endswith("_target_")
    ]


def is_number(value: Any) -> bool:
    """Whether it is a number, a list of numbers, or refers to one."""
    if isinstance(value, list):
        return bool(value) and all(map(is_number, value))
    return (isinstance(value, int | float) and not isinstance(value, bool)) or value == "${num_samples}"


def _leaves(start: str, node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(f"{start}{name}.", value)
        else:
            yield f"{start}{name}", value
