"""The claims files that were registered for a study: a copy of the last one in its folder, and a list of all.

claims.yaml is the copy. claims.json says where each file came from and when it was registered. When another file takes
the place of the copy, the old one becomes claims-SHA256.yaml.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter

from skiplab.errors import SkiplabError
from skiplab.paths import project_dir
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import CLAIMS, REGISTRATIONS
from skiplab.records.foreign_files import read_bytes
from skiplab.records.record_schema import Time
from skiplab.records.timestamps import as_text, in_utc, now


@dataclass(frozen=True)
class Registration:
    """source: the file's path.  registered: the time."""

    source: str
    sha256: str
    registered: Time


_SCHEMA = TypeAdapter(list[Registration])


def find_claims(name: str) -> Path:
    """The claims file that run.claims names, relative to the current folder or to skiplab's own.

    Raises:
        SkiplabError: if there is none.
    """
    candidates = [Path(name), project_dir("experiments").parent / name]
    for path in candidates:
        if path.is_file():
            return path.absolute()
    raise SkiplabError(
        f"run.claims={name} is no file; valid: the path of a YAML file of claims, or null for none "
        f"(looked for {' and '.join(str(path) for path in dict.fromkeys(candidates))})"
    )


def came_late(folder: Path, digest: str, started: datetime | None) -> bool:
    """Whether claims were registered for a study after its first trial had started.

    The claims of skiplab's own experiments are older than any trial.

    Args:
        folder: the study's.
        digest: the sha256 of the claims file.
        started: when the first of the study's trials was started; None if there is none.

    Raises:
        SkiplabError: if the list of registrations can't be read.
    """
    if started is None or _comes_with_skiplab(digest):
        return False
    times = [in_utc(each.registered) for each in registrations(folder) if each.sha256 == digest]
    return not times or times[0] > started


def _comes_with_skiplab(digest: str) -> bool:
    own = project_dir("experiments").rglob(CLAIMS)
    return any(sha256(path.read_bytes()).hexdigest() == digest for path in own)


def registrations(folder: Path) -> list[Registration]:
    """The claims files of the study in a folder, oldest first; the last is the one that it is judged by.

    Raises:
        SkiplabError: if the list can't be read.
    """
    path = folder / REGISTRATIONS
    try:
        return _SCHEMA.validate_json(read_bytes(path), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SkiplabError(
            f"{path} can't be read ({reason}); it says when the study's claims were registered: restore it, or move it "
            "away to register them anew"
        ) from None


def register(folder: Path, source: Path, content: bytes, started: datetime | None) -> None:
    """Register a claims file, by which the study in a folder is judged from now on.

    Trials that have begun have begun before, even if the clock was set back since.

    Args:
        folder: the study's.
        source: where the file lies.
        content: what it holds.
        started: when the first of the study's trials was started; None if none has.

    Raises:
        OSError: if the folder can't be written.
        SkiplabError: if the list of registrations can't be read.
    """
    entries, copy = registrations(folder), folder / CLAIMS
    digest, present = sha256(content).hexdigest(), copy.read_bytes() if copy.exists() else None
    if present != content:
        if present is not None:
            write_atomically(folder / f"claims-{sha256(present).hexdigest()[:12]}.yaml", present)
        write_atomically(copy, content)
    if not entries or entries[-1].sha256 != digest:
        time = now() if started is None else max(now(), as_text(started + timedelta(milliseconds=1)))
        entries.append(Registration(str(source), digest, time))
        text = json.dumps([asdict(each) for each in entries], indent=1) + "\n"
        write_atomically(folder / REGISTRATIONS, text.encode())
