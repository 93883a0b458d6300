"""`skiplab init`: a small project of one's own, with three commands that work."""

import shutil
from pathlib import Path

from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.writable import explain_unwritable

_PROJECT = Path(__file__).parent / "project"


def project_files() -> dict[Path, Path]:
    """The files of the project by their place in it."""
    found = (path for path in sorted(_PROJECT.rglob("*")) if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(_PROJECT): path for path in found}


def commands() -> list[str]:
    """The commands that the project's README gives."""
    lines = (_PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.startswith("    ")]


def init(folder: Path) -> None:
    """Write a preset, a claims file, a connection and a README to a folder that is new or empty.

    Raises:
        SkiplabError: the folder holds something, or can't be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise SkiplabError(f"{printable(folder)} isn't empty; valid: a folder that is new or empty")
    if folder.exists() and not folder.is_dir():
        raise SkiplabError(f"{printable(folder)} is a file; valid: a folder that is new or empty")
    with explain_unwritable(folder):
        for name, source in project_files().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
            print(f"written: {printable(folder / name)}")
    print("\n".join(["", "next:", f"  cd {printable(folder)}", *(f"  {command}" for command in commands())]))
