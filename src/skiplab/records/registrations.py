"""The claims files that a study was given: the copy of the last one beside its list, and a note of each.

claims.yaml is the copy, claims.json the note: where each file came from, and when it was registered. A copy that gives
way to another one is kept as claims-SHA256.yaml.
"""

import json
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from skiplab.errors import SkiplabError
from skiplab.paths import project_dir
from skiplab.records.atomic_file import write_atomically
from skiplab.records.first_start import in_utc, now

COPY, _NOTE = "claims.yaml", "claims.json"


class Registration(NamedTuple):
    """source: the file's path.  registered: when, an ISO text in UTC."""

    source: str
    sha256: str
    registered: str


def find_claims(asked: str) -> Path:
    """The file that run.claims names: from where the command runs, else among the experiments of skiplab.

    Raises:
        SkiplabError: where there is none.
    """
    found = [Path(asked), project_dir("experiments").parent / asked]
    for path in found:
        if path.is_file():
            return path.absolute()
    raise SkiplabError(
        f"run.claims={asked} is no file; valid: the path of a YAML file of claims, or null for none "
        f"(looked for {' and '.join(str(path) for path in dict.fromkeys(found))})"
    )


def came_late(folder: Path, digest: str, begun: datetime | None) -> bool:
    """Whether the study of this folder was given claims when a trial of it had begun.

    The claims of skiplab's own experiments are older than any trial, wherever they are registered.

    Args:
        folder: the study's.
        digest: the claims file's sha256.
        begun: when the first of the study's trials was begun; None where none was.

    Raises:
        SkiplabError: where the note can't be read.
    """
    if begun is None or _comes_with_skiplab(digest):
        return False
    times = [in_utc(each.registered) for each in registrations(folder) if each.sha256 == digest]
    return not times or times[0] > begun


def _comes_with_skiplab(digest: str) -> bool:
    own = project_dir("experiments").rglob("claims.yaml")
    return any(sha256(path.read_bytes()).hexdigest() == digest for path in own)


def registrations(folder: Path) -> list[Registration]:
    """Every file that the study of this folder was given, in order; the last is the one that it remembers.

    Raises:
        SkiplabError: where the note can't be read.
    """
    path = folder / _NOTE
    try:
        found = [Registration(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
        if wrong := [each.registered for each in found if in_utc(each.registered) is None]:
            raise ValueError(f"{wrong[0]!r} is no time")
        return found
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (ValueError, TypeError, OSError) as error:
        raise SkiplabError(
            f"{path} can't be read ({error}); it says when the study's claims were registered: restore it, or move it "
            "away to register them anew"
        ) from None


def register(folder: Path, source: Path, content: bytes) -> None:
    """Let the study of this folder remember a claims file.

    Args:
        folder: the study's.
        source: where the file lies.
        content: what it holds.

    Raises:
        OSError: where the folder can't be written.
        SkiplabError: where the note can't be read.
    """
    found, copy = registrations(folder), folder / COPY
    digest, present = sha256(content).hexdigest(), copy.read_bytes() if copy.exists() else None
    if present != content:
        if present is not None:
            write_atomically(folder / f"claims-{sha256(present).hexdigest()[:12]}.yaml", present)
        write_atomically(copy, content)
    if not found or found[-1].sha256 != digest:
        found.append(Registration(str(source), digest, now()))
        note = json.dumps([each._asdict() for each in found], indent=1) + "\n"
        write_atomically(folder / _NOTE, note.encode())
