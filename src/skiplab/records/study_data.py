"""What the files of data held that a study was trained on, `runs/studies/NAME/data.json`: a fingerprint by path.

A study whose later trials saw other files under the same path would compare data, and not arms.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import DATA
from skiplab.records.fingerprint import fingerprint
from skiplab.records.foreign_files import read_own

if TYPE_CHECKING:
    from omegaconf import DictConfig

_SCHEMA = TypeAdapter(dict[str, str])
Contents = Mapping[str, str]  # the fingerprint of each path


def data_contents(configs: "Iterable[DictConfig]") -> Contents:
    """What the local files of data hold that these trials are trained on."""
    given = {config.data.get("path") for config in configs}
    places = [Path(path).expanduser().absolute() for path in given if isinstance(path, str) and path]
    return {str(place): fingerprint(place) for place in places if place.exists()}


def keep_data(folder: Path, contents: Contents) -> None:
    """Note what a study's data hold; the caller holds the study's lock.

    Args:
        folder: the study's.
        contents: of the trials that join it.

    Raises:
        SkiplabError: if a path held other files before, or the notes can't be read.
    """
    path = folder / DATA
    try:
        before = _SCHEMA.validate_json(read_own(path), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        before = {}
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SkiplabError(
            f"{path} can't be read ({reason}); it says what the study's data held: restore it, or remove it to note "
            "this anew"
        ) from None
    if changed := [place for place, found in contents.items() if before.get(place, found) != found]:
        raise SkiplabError(
            f"the files at {changed[0]} have changed since trials of study {folder.name} were trained on them; put the "
            "old ones back, or give the new trials a study of their own, run.study=NAME (to mix both all the same, "
            f"remove {path})"
        )
    if contents.items() - before.items():
        write_atomically(path, (json.dumps({**before, **contents}, indent=1, sort_keys=True) + "\n").encode())
