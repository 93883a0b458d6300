"""Settings called `path`: the key of a trial depends on the content of these files, not on where they lie."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from skiplab.cache_dir import cache_dir
from skiplab.errors import SkiplabError
from skiplab.records.file_names import RECORD, WEIGHTS
from skiplab.records.fingerprint import fingerprint, is_fingerprint
from skiplab.records.plain_config import plain
from skiplab.records.record_schema import Factor

_PATTERNS = frozenset({"backbone.path"})  # settings called so that name modules of a network, and no files


def by_contents(node: Any) -> Any:
    """The settings, with a fingerprint in the place of each local path."""
    return _replaced(node, {name: fingerprint(_known_by(place)) for name, place in _local(node)})


def with_absolute_paths(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, resolved and with absolute local paths."""
    resolved = plain(config)
    return _replaced(resolved, {name: str(place) for name, place in _local(resolved)})


def check_apart(config: DictConfig) -> None:
    """Refuse a folder of data that trials write to, since its content would change with each of them.

    Raises:
        SkiplabError: names the two folders.
    """
    resolved = plain(config)
    written = {"run.runs_dir": resolved["run"]["runs_dir"], "SKIPLAB_CACHE_DIR": cache_dir()}
    written |= {f"data.{name}": value for name, value in resolved["data"].items() if name == "cache_dir" and value}
    for name, place in _local(resolved):
        for setting, folder in written.items():
            outer, inner = place.resolve(), Path(folder).expanduser().resolve()
            if inner.is_relative_to(outer) and not any(part[0] == "." for part in inner.relative_to(outer).parts):
                raise SkiplabError(
                    f"{name}={place} holds {setting}={folder}, which trials write to; give another folder for one of "
                    "the two"
                )


def find_again(config: DictConfig, factors: Mapping[str, Factor], moved: Mapping[str, str], record: Path) -> None:
    """Set the local paths of a record's configuration to where the files lie now, and print where its data are read.

    Args:
        config: the record's, after it was checked; changed in place.
        factors: the record's, which hold the fingerprints.
        moved: the new paths of files that were moved, such as {"data.path": "/new/place"}.
        record: its folder, for messages.

    Raises:
        SkiplabError: if files are missing, their content is another, or the record doesn't say which they were.
    """
    given = dict(_given(plain(config, resolve=False)))
    for name, place in moved.items():
        if name not in given or not is_fingerprint(factors.get(name)):
            own = f"is {factors[name]}" if name in factors else "has no such setting"
            raise SkiplabError(f"{name}={place} would change the trial of {record}, which {own}; leave {name} out")
    for name, text in given.items():
        recorded = factors.get(name)
        if not is_fingerprint(recorded):
            if (name in factors or name == "data.path") and os.path.exists(os.path.expanduser(text)):
                raise SkiplabError(
                    f"{record} asks for the files at {name}={text}, and doesn't say by a fingerprint that it was "
                    "trained on them; take another copy of it, or move these files away"
                )
            continue
        place = Path(moved.get(name, text)).expanduser().absolute()
        remedy = f"give their path, {name}=PATH, or in Python skiplab.load(RUN, data_path=PATH)"
        if not place.exists():
            raise SkiplabError(f"the files that {record} was trained on are not at {place}; {remedy}")
        if fingerprint(_known_by(place)) != recorded:
            raise SkiplabError(f"the files at {place} are not those that {record} was trained on; {remedy}")
        OmegaConf.update(config, name, str(place))
    if "data.path" in given:
        print(f"skiplab: the data of {record} are read from data.path={config.data.path}", file=sys.stderr)
    kept = OmegaConf.select(config, "data.cache_dir")
    if kept is not None and not Path(kept).expanduser().is_dir():  # another machine's
        config.data.cache_dir = str(cache_dir())


def _local(node: Any) -> Iterator[tuple[str, Path]]:
    """Those of them that exist, by their full names."""
    for name, value in _given(node):
        if os.path.exists(os.path.expanduser(value)):
            yield name, Path(value).expanduser().absolute()


def _known_by(place: Path) -> Path:
    """What counts of a local path: of a trial's record its weights alone, since evaluating it changes other files."""
    weights = place / WEIGHTS
    return weights if (place / RECORD).is_file() and weights.is_file() else place


def _given(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The settings called `path`, at any depth, by their full names."""
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        full = f"{prefix}.{name}" if prefix else str(name)
        if name == "path" and full not in _PATTERNS and isinstance(value, str) and value:
            yield full, value
        yield from _given(value, full)


def _replaced(node: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    if not isinstance(node, dict) or not values:
        return node
    full = {name: f"{prefix}.{name}" if prefix else str(name) for name in node}
    return {name: values.get(full[name], _replaced(child, values, full[name])) for name, child in node.items()}
