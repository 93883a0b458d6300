"""Reading files that someone else may have written, within limits of time and memory and without running anything."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 2**24  # of a record.json, a configuration, a claims file: a thousand times what they have
MOST_TABLE_BYTES = 2**31  # of a table
_MOST_YAML_BYTES = 2**20
_MOST_NODES = 200_000  # of a YAML file, with each alias expanded
_MOST_LEVELS = 64


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file; pipes and devices, which may never end, are refused.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no file, or has more bytes than `most`.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no file")
        if found.st_size > most:
            raise ValueError(f"it has {found.st_size} bytes; valid: up to {most}")
        return file.read(most)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # opening a pipe would wait


def read_own(path: Path, most: int = MOST_BYTES, within: Path | None = None) -> bytes:
    """The content of a file that must not be a link out of its folder, or out of another one if that is given.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no file, too large, or such a link.
    """
    folder = within or path.parent
    if leads_out(path, folder):
        target = os.readlink(path) if path.is_symlink() else os.path.realpath(path)
        raise ValueError(f"it is a link to {target}, out of {folder}; put a copy in its place")
    return read_bytes(path, most)


def links_out(folder: Path) -> list[Path]:
    """The links in a folder that lead out of it, through which files elsewhere would be written.

    Links in W&B's own folder, which has some to its logs, are left out.
    """
    return sorted(path for path in _below(folder) if leads_out(path, folder))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))
        folders[:] = [name for name in folders if name != "wandb"]


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path is a link to a target outside the folder."""
    may_lead_out = path.is_symlink() or folder != path.parent  # one of the folders between them may be a link
    return may_lead_out and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def parse_json(content: bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: if it is invalid, nested too deeply, or has a whole number of more than 64 bits.
    """
    try:
        parsed = json.loads(content)
    except RecursionError:
        raise ValueError(f"it is nested too deeply; valid: {_MOST_LEVELS} levels") from None
    level, found = 0, [parsed]
    while found:
        if level > _MOST_LEVELS:
            raise ValueError(f"it is nested too deeply; valid: {_MOST_LEVELS} levels")
        for node in found:
            if isinstance(node, int) and not -(2**63) <= node < 2**64:
                raise ValueError(f"it holds a whole number of {node.bit_length()} bits; valid: up to 64")
        level += 1
        containers = [node.values() if isinstance(node, dict) else node for node in found if type(node) in (dict, list)]
        found = [child for children in containers for child in children if type(child) in (dict, list, int)]
    return parsed


def parse_yaml(content: bytes) -> Any:
    """Parse a YAML text into lists, mappings and scalars, and nothing else.

    Raises:
        ValueError: if it is invalid, or `check_yaml` refuses it.
    """
    check_yaml(content)
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ValueError(yaml_mistake(error)) from None


def yaml_mistake(error: yaml.YAMLError) -> str:
    """Describe a YAML error in one line, such as `line 2: while parsing a flow mapping, expected ...`."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:  # a character that no YAML text may hold
        return " ".join(str(error).split()).replace('in "<byte string>", ', "at ")
    context = f"{error.context}, " if error.context else ""
    started = error.context_mark.line if error.context_mark else mark.line
    since = f" in what starts in line {started + 1}" if started != mark.line else ""
    return f"line {mark.line + 1}: {context}{error.problem}{since}"


def check_yaml(content: bytes) -> None:
    """Check a YAML text without creating its values.

    Raises:
        ValueError: if it is invalid, or too large with its aliases expanded.
    """
    if len(content) > _MOST_YAML_BYTES:
        raise ValueError(f"it has {len(content)} bytes; valid: up to {_MOST_YAML_BYTES}")
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
        num_nodes = _written_out(root, {}, 0)
    except yaml.YAMLError as error:
        raise ValueError(yaml_mistake(error)) from None
    except RecursionError:
        raise ValueError(f"it is nested too deeply; valid: {_MOST_LEVELS} levels") from None
    if num_nodes > _MOST_NODES:
        raise ValueError(f"it holds more than {_MOST_NODES} values once its aliases are written out")


def _written_out(node: yaml.Node | None, known: dict[int, int | None], level: int) -> int:
    """The number of nodes from this one down, with each alias expanded."""
    if level > _MOST_LEVELS:
        raise ValueError(f"it is nested too deeply; valid: {_MOST_LEVELS} levels")
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = None  # still being counted
        children = [each for pair in node.value for each in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_written_out(child, known, level + 1) for child in children)
    count = known[id(node)]
    if count is None:
        raise ValueError("an alias stands within what it stands for")
    return count
