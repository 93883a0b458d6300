"""What a file or a folder holds, wherever it lies and whenever it was copied there; imports no torch."""

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
# a file that changed so shortly before is not kept.
_TICK_NS = 2_000_000_000
_MARK = "contents:"
_TOLD_BYTES = 10**9  # from which reading files takes so long that it is said

_known: dict[str, dict[str, tuple[list[int], str]]] = {}  # of each place: a file's state and hash
_looked_at: ContextVar[dict[str, dict[str, str]] | None] = ContextVar("_looked_at", default=None)


def file_hashes(path: Path | str) -> dict[str, str]:
    """The sha256 of every file of a folder by its relative name, or of a file itself, by the name ''.

    Names that begin with a dot are left out, links are followed, and a link to nothing has the hash ''. Files are read
    when they are first seen and whenever their size or a time of change, which copying cannot set back, is another;
    else their hashes come from memory or from the folder `fingerprints` of SKIPLAB_CACHE_DIR.

    Raises:
        SkiplabError: where a file or folder can't be read.
    """
    place, looked_at = os.path.realpath(path), _looked_at.get()
    if looked_at is None or place not in looked_at:
        try:
            found = _hashes(place)
        except OSError as error:
            where = error.filename or place
            raise SkiplabError(f"{where} can't be read ({error.strerror or error}); mend or remove it") from error
        if looked_at is None:
            return found
        looked_at[place] = found
    return looked_at[place]


@contextlib.contextmanager
def looked_at_once() -> Iterator[None]:
    """Within it each place is looked at once: of a thousand trials of a sweep, each asks what its data are."""
    token = _looked_at.set({})
    try:
        yield
    finally:
        _looked_at.reset(token)


def fingerprint(path: Path | str) -> str:
    """The same for files of the same relative names and contents, for a single file of the same content."""
    return _MARK + hashlib.sha256(json.dumps(sorted(file_hashes(path).items())).encode()).hexdigest()[:32]


def is_fingerprint(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_MARK)


def _hashes(place: str) -> dict[str, str]:
    if place not in _known:
        _known[place] = _read_kept(place)
    known, fresh = _known[place], {}
    hashes = {}
    states = {name: _state(os.path.join(place, name) if name else place) for name in _names(place)}
    unread = sum(state[0] for name, state in states.items() if state and known.get(name, ("",))[0] != state)
    if unread > _TOLD_BYTES:
        print(
            f"skiplab: reading {unread / 1e9:.1f} GB in {place} once, to know them by what they hold", file=sys.stderr
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
        _known[place] = {name: entry for name, entry in known.items() if name in hashes} | fresh
        _keep(place)
    return hashes


def _state(file: str) -> list[int]:
    """Size and times of change of a file, of which no program can set the last one; empty where there is no file."""
    try:
        found = os.stat(file)
    except FileNotFoundError:  # a link to nothing
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns] if stat.S_ISREG(found.st_mode) else []


def _names(place: str) -> list[str]:
    """The relative names of all files of a folder that aren't hidden; '' for a file itself."""
    if not os.path.isdir(place):
        return [""]
    found: list[tuple[str, ...]] = []
    walked: set[tuple[int, int]] = set()

    def walk(folder: str, parts: tuple[str, ...]) -> None:
        own = os.stat(folder)
        if (own.st_dev, own.st_ino) in walked:  # a link to a folder that is listed, and may be one that it lies in
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


def _kept_at(place: str) -> Path:
    return cache_dir() / "fingerprints" / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:32]}.json"


def _read_kept(place: str) -> dict[str, tuple[list[int], str]]:
    """What an earlier process found; nothing where that can't be read."""
    try:
        kept = json.loads(_kept_at(place).read_bytes())
        return {name: ([int(part) for part in state], str(digest)) for name, (state, digest) in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _keep(place: str) -> None:
    with contextlib.suppress(OSError):  # a cache that can't be written costs time alone
        _kept_at(place).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_kept_at(place), json.dumps(_known[place]).encode())
