"""What to say of a setting that doesn't exist: which are valid in its place, and which one was probably meant."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from skiplab.listed_options import LISTS
from skiplab.paths import project_dir


def unknown_setting(name: str, known: Sequence[str]) -> str:
    """The message for a setting that doesn't exist.

    Args:
        name: its full name, such as optimizer.momentun.
        known: the full names of the settings that exist.
    """
    known = [each for each in known if each.startswith("hydra.") == name.startswith("hydra.")]
    parent = name.rpartition(".")[0]
    while parent and not any(each.startswith(f"{parent}.") for each in known):
        parent = parent.rpartition(".")[0]
    start = f"{parent}." if parent else ""
    below = {each.removeprefix(start).partition(".")[0] for each in known if each.startswith(start)}
    valid = sorted(each for each in below if not each.startswith("_"))
    where = f" in {parent}" if parent else ""
    message = f"unknown setting {name}; valid{where}: {', '.join(valid) or 'none'}"
    if others := _options_with(name):
        return f"{message}; it belongs to {', '.join(others)}"
    near = " or ".join(nearest_names(name, [each for each in known if not each.endswith("_")]))
    return f"{message}; did you mean {near}?" if near else message


def nearest_names(name: str, known: Sequence[str]) -> list[str]:
    """Settings with the same last part elsewhere, else one beside it with similar spelling, else one anywhere."""
    parent, _, own = name.rpartition(".")
    last = {each: each.rpartition(".")[2] for each in known}
    same = sorted((each for each in known if last[each] == own), key=lambda each: (each.count("."), each))
    if same:
        return same[:3]
    for among, cutoff in (([each for each in known if each.rpartition(".")[0] == parent], 0.6), (known, 0.8)):
        if close := difflib.get_close_matches(own, [last[each] for each in among], n=1, cutoff=cutoff):
            return [next(each for each in among if last[each] == close[0])]
    return []


def leaves(node: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    """The full name and the value of each setting in nested ones."""
    for name, child in node.items():
        if isinstance(child, dict) and child:
            yield from leaves(child, f"{start}{name}.")
        else:
            yield f"{start}{name}", child


def _options_with(name: str) -> list[str]:
    """The options in conf/ that have a setting AXIS.NAME."""
    axis, _, own = name.partition(".")
    files = sorted((project_dir("conf") / axis).glob("*.yaml")) if own and axis not in LISTS else []
    return [f"{axis}={file.stem}" for file in files if own in (OmegaConf.load(file) or {})]
