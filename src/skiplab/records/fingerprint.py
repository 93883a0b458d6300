"""Fingerprints of files and folders, which depend on their content and not on where they lie."""

import contextlib
import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from skiplab.cache_dir import cache_dir
from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically

# Two changes within one tick of a file system's clock look alike, and the coarsest ticks last two seconds: the hash of
# a file that changed less than two ticks ago is not cached.
_TICK_NS = 2_000_000_000
_MARK = "contents:"
_ANNOUNCED_BYTES = 10**9  # to be read: from here on it takes so long that a message says so

_Hashes = dict[str, tuple[list[int], str]]  # the state and the hash of each file, by its relative name

_cached: dict[str, _Hashes] = {}  # by folder
_already_read: ContextVar[dict[str, dict[str, str]] | None] = ContextVar("_already_read", default=None)


def file_hashes(path: Path | str) -> dict[str, str]:
    """The sha256 of every file of a folder by its relative name, or of a file itself, by the name ''.

    Hidden files are left out, links are followed, and a broken link has the hash ''. A file is read when it is new and
    when its size or a time of its last change, which copying can't set back, has changed; other hashes come from
    memory or from the folder `fingerprints` of SKIPLAB_CACHE_DIR.

    Raises:
        SkiplabError: if a file or folder can't be read.
    """
    place, already_read = os.path.realpath(path), _already_read.get()
    if already_read is None or place not in already_read:
        try:
            found = _hashes(place)
        except OSError as error:
            where = error.filename or place
            raise SkiplabError(f"{where} can't be read ({error.strerror or error}); repair or remove it") from error
        if already_read is None:
            return found
        already_read[place] = found
    return already_read[place]


@contextlib.contextmanager
def looked_at_once() -> Iterator[None]:
    """Look at each folder only once in this context, though each of a thousand trials asks for its fingerprint."""
    token = _already_read.set({})
    try:
        yield
    finally:
        _already_read.reset(token)


def fingerprint(path: Path | str) -> str:
    """A text that is equal for folders with files of equal names and contents, or for files of equal content."""
    return _MARK + hashlib.sha256(json.dumps(sorted(file_hashes(path).items())).encode()).hexdigest()[:32]


def is_fingerprint(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_MARK)


def _hashes(place: str) -> dict[str, str]:
    if place not in _cached:
        _cached[place] = _read_cache(place)
    known, fresh = _cached[place], {}
    hashes = {}
    states = {name: _state(os.path.join(place, name) if name else place) for name in _names(place)}
    unread = sum(state[0] for name, state in states.items() if state and known.get(name, ("",))[0] != state)
    if unread > _ANNOUNCED_BYTES:
        print(
            f"skiplab: reading {unread / 1e9:.1f} GB in {place} once, for the fingerprint of the data", file=sys.stderr
        )
    for name, state in states.items():
        file = os.path.join(place, name) if name else place
        if not state:
            hashes[name] = ""
            continue
        before = known.get(name)
        if before and before[0] == state:
            hashes[name] = before[1]
            continue
        started = time.time_ns()
        with open(file, "rb") as content:
            hashes[name] = hashlib.file_digest(content, "sha256").hexdigest()
        if started - state[2] > _TICK_NS and _state(file) == state:
            fresh[name] = (state, hashes[name])
    if fresh:
        _cached[place] = {name: entry for name, entry in known.items() if name in hashes} | fresh
        _write_cache(place)
    return hashes


def _state(file: str) -> list[int]:
    """Size and times of change of a file, the last of which no program can set; empty if there is no file."""
    try:
        found = os.stat(file)
    except FileNotFoundError:  # a broken link
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns] if stat.S_ISREG(found.st_mode) else []


def _names(place: str) -> list[str]:
    """The relative names of all files in a folder that aren't hidden; '' for a file itself."""
    if not os.path.isdir(place):
        return [""]
    found: list[tuple[str, ...]] = []
    walked: set[tuple[int, int]] = set()

    def walk(folder: str, parts: tuple[str, ...]) -> None:
        own = os.stat(folder)
        if (own.st_dev, own.st_ino) in walked:  # a link to a folder that is already listed, perhaps to a parent
            found.append((*parts, ""))
            return
        walked.add((own.st_dev, own.st_ino))
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name)):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    walk(entry.path, (*parts, entry.name))
                elif entry.is_file() or entry.is_symlink():
                    found.append((*parts, entry.name))

    walk(place, ())
    return ["/".join(parts) for parts in sorted(found)]


def _cache_file(place: str) -> Path:
    return cache_dir() / "fingerprints" / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:32]}.json"


def _read_cache(place: str) -> _Hashes:
    """The hashes of an earlier process; none if they can't be read."""
    try:
        found = json.loads(_cache_file(place).read_bytes())
        return {name: ([int(part) for part in state], str(digest)) for name, (state, digest) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_cache(place: str) -> None:
    with contextlib.suppress(OSError):  # without a cache it only takes longer
        _cache_file(place).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_cache_file(place), json.dumps(_cached[place]).encode())
