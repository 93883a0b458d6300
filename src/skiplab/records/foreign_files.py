"""Files that someone else may have written, read within bounds of time and memory; nothing in them is obeyed."""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 2**24  # of a record.json, a configuration, a claims file: a thousand times what they have
MOST_TABLE_BYTES = 2**31  # of a table
_MOST_YAML_BYTES = 2**20
_MOST_NODES = 200_000  # of a YAML file, each alias counted with all that it stands for
_MOST_LEVELS = 64
_KEY = re.compile(r"[0-9a-f]{16}")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file; a pipe or a device, which may never end, is none.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: where it is no file, or has more bytes than `most`.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no file")
        if found.st_size > most:
            raise ValueError(f"it has {found.st_size} bytes; valid: up to {most}")
        return file.read(most)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would be waited for


def read_own(path: Path, most: int = MOST_BYTES, within: Path | None = None) -> bytes:
    """The same of a file that must not be a link out of a folder, its own unless another is given.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: where it is no such file.
    """
    folder = within or path.parent
    if leads_out(path, folder):
        raise ValueError(f"it is a link to {os.readlink(path)}, out of {folder}; put a copy in its place")
    return read_bytes(path, most)


def links_out(folder: Path) -> list[Path]:
    """The links in a folder that lead out of it: what writes to them would write elsewhere.

    Those of W&B's own folder, which keeps some to its logs, are left out.
    """
    return sorted(path for path in _below(folder) if leads_out(path, folder))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))
        folders[:] = [name for name in folders if name != "wandb"]


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path is a link to what isn't below the folder."""
    return path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def parse_json(content: bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: where it is none, is nested too deeply, or has a whole number of more than 64 bits.
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
    """What a YAML text says; no object but lists, mappings and scalars is made of it.

    Raises:
        ValueError: where it is none, or `check_yaml` refuses it.
    """
    check_yaml(content)
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ValueError(yaml_mistake(error)) from None


def yaml_mistake(error: yaml.YAMLError) -> str:
    """Where a YAML text goes wrong and how, in one line: `line 2: while parsing a flow mapping, expected ...`."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # what no YAML text may hold
        return " ".join(str(error).split()).replace('in "<byte string>", ', "at ")
    context = f"{error.context}, " if error.context else ""
    begun = error.context_mark.line if error.context_mark else mark.line
    since = f" in what begins in line {begun + 1}" if begun != mark.line else ""
    return f"line {mark.line + 1}: {context}{error.problem}{since}"


def check_yaml(content: bytes) -> None:
    """Look at a YAML text without making anything of it.

    Raises:
        ValueError: where it is none, or too large once its aliases are written out.
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
    """How many nodes there are below and including this one, each alias counted with all that it stands for."""
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


def read_keys(path: Path) -> tuple[list[str], list[str]]:
    """The keys of a study's list, each once, and the lines that are none.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: where it is no list.
    """
    lines = dict.fromkeys(line.strip() for line in read_own(path).decode(errors="replace").splitlines())
    words = [line for line in lines if line]
    return [word for word in words if _KEY.fullmatch(word)], [word for word in words if not _KEY.fullmatch(word)]
